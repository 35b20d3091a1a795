"""The command `strands-portkey`."""
