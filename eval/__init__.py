"""Queries and judgements in, figures out."""
