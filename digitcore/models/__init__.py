"""Networks, the files that hold them, and what they answer."""
