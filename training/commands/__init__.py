"""The commands of pretraining, and of looking at what it made."""
