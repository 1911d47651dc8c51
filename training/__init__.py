"""Text and pairs in, checkpoints out."""
