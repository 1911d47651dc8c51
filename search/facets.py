"""Counts of metadata values among a query's candidates."""

from collections.abc import Sequence

from indexer.errors import RequestError
from indexer.filters.tree import FilterError
from indexer.store import Store
from search.hits import Facets, FacetValue

_MOST = 10


def count_facets(store: Store, fields: Sequence[str], candidates: Sequence[int]) -> Facets:
    """Count the ten most frequent values of each field among candidates, documents by number.

    Raises:
        RequestError: no document has a field of this name.
    """
    try:
        counts = store.facet_counts(fields, candidates, limit=_MOST)
    except FilterError as error:  # the store knows of fields by filters alone
        raise RequestError(str(error), param="facets") from None
    return Facets(
        counted=len(candidates),
        fields={
            field: tuple(FacetValue(value=value, count=count) for value, count in values)
            for field, values in counts.items()
        },
    )
