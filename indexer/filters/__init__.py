"""The metadata filter: its grammar in text and JSON, and its meaning over the store."""

from indexer.filters.facets import facets
from indexer.filters.grammar import parse, to_json
from indexer.filters.sql import compile
from indexer.filters.tree import And, Comparison, Filter, FilterError, Not, Or

__all__ = [
    "And",
    "Comparison",
    "Filter",
    "FilterError",
    "Not",
    "Or",
    "compile",
    "facets",
    "parse",
    "to_json",
]
