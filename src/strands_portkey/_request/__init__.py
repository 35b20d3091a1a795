"""From Strands, for all wires: what a request asks for."""
