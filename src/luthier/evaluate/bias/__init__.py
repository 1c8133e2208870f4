"""Bias of a model: swapped groups in the user's own items, BBQ, and CrowS-Pairs for information."""
