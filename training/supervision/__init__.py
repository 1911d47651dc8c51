"""Pairs of a query and a passage out of bare text, one method a file, and a teacher's labels."""
