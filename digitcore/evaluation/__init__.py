"""What networks answer on sets of digits, and the figures that follow."""
