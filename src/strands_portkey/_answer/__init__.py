"""Conversion of answers to Strands' types, for all protocols: blocks, counts, errors and metadata."""
