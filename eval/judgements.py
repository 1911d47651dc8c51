"""Relevance judgements: the grade of a document for a query."""

from collections.abc import Mapping
from typing import TypeAlias

# Query id to document id to grade; 0 and less are judged and not relevant.
Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
