"""Records what the real gateway answers, byte for byte: `python -m tests_integ.record`."""
