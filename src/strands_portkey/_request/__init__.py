"""Conversion of Strands' input to requests, the same for all protocols of the gateway."""
