"""What visitors write, star and note, in one database."""
