"""Data sets: labelled digits, real and synthetic, and pictures of other things."""
