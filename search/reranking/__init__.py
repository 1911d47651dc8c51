"""The second stage: the first documents of the ranking, read again beside the query."""
