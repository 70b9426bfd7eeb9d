"""Training: recipes, augmentation, the loop, and what is fitted afterwards on the validation digits."""
