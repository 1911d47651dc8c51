"""The cross-encoder in training: query and passage read together, lists of passages in order."""
