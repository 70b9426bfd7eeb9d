"""Recipes, the training loop, and what is fitted after it on the validation digits."""
