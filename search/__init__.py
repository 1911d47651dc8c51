"""A query in, ranked answers out."""
