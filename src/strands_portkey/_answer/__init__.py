"""Towards Strands, for all wires: blocks, counts, errors and what the gateway says of itself."""
