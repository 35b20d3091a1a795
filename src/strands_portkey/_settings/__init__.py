"""Settings of the model: their validation, and their conversion to request headers."""
