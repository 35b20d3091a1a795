"""The only I/O: requests to the gateway and their answers."""
