"""Losses of fine-tuning: pure functions, one a file."""
