"""Pairs to fine-tune with: queries, what answers them, what does not, and a teacher's scores."""
