"""What the user says: settings of the model, checked and turned into headers."""
