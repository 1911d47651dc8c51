"""A model of fewer layers that learns from one of more."""
