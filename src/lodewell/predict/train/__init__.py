"""Training of models of properties."""
