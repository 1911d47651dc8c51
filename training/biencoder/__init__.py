"""The bi-encoder: queries and passages as vectors, near where the one answers the other."""
