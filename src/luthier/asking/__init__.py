"""Requests to a model that writes or judges: patience, a budget, and a journal that keeps each answer as it comes."""
