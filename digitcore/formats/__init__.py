"""Files of networks as other programs save them, read without running what is in them."""
