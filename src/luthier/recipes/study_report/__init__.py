"""What the arms of a study add up to: numbers with their intervals, verdicts, figures, and the page that shows them."""
