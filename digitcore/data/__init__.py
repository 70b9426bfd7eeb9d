"""Labelled digits, real and synthetic, and pictures that show none."""
