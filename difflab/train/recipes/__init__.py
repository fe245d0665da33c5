"""One file for each weight file: its data, its network, its loss."""
