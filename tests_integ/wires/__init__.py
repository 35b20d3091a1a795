"""The native wires of model providers, as replies for the scripted upstream: one module for each wire."""
