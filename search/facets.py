"""Counts of metadata values among a query's candidates."""

from collections.abc import Sequence

from indexer.store import Store
from search.hits import Facets, FacetValue

_MOST = 10


def count_facets(store: Store, fields: Sequence[str], candidates: Sequence[int]) -> Facets:
    """Count the ten most frequent values of each field among candidates, documents by number.

    Raises:
        ClozeError: no document has a field of this name.
    """
    counts = store.facet_counts(fields, candidates, limit=_MOST)
    return Facets(
        counted=len(candidates),
        fields={
            field: tuple(FacetValue(value=value, count=count) for value, count in values)
            for field, values in counts.items()
        },
    )
