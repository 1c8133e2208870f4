"""Where a model is weak, in what way, and what the training rows have to do with it: found on one half of the items,
confirmed on the other."""
