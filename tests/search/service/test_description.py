"""Which rerankers a service offers: late interaction only where it is quick, or was asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from search.index import Index
from search.service.description import describe
from search.service.settings import Limits


@pytest.fixture(scope="module", params=[False, True], ids=["passages", "tokens"])
def held(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bool, Path]:
    """An index, and whether it stores token vectors."""
    folder = tmp_path_factory.mktemp("described") / "index"
    settings = Settings(model=str(tiny_model), token_vectors=request.param)
    with Index.open(folder, settings) as index:
        index.add([Document(id="a", text="a red ship")])
    return request.param, folder


@pytest.mark.parametrize(
    ("served", "default", "late", "others"),
    [(None, None, False, ()), ("none", None, False, ()), ("late", None, True, ()),
     ("a/checkpoint", None, False, ("cross-encoder",)), (None, "late", True, ()),
     ("none", "late", False, ())],
)  # fmt: skip
def test_late_interaction_is_offered_where_it_is_quick_or_asked_for(
    held: tuple[bool, Path],
    served: str | None,
    default: str | None,
    late: bool,
    others: tuple[str, ...],
) -> None:
    stored, folder = held
    with Index.open(folder) as index:
        defaults = replace(index.manifest.defaults, rerank=default)
        index.manifest = replace(index.manifest, defaults=defaults)
        offered = describe(index, served, "idle", Limits()).rerankers
    assert offered == ("none", *(("late",) if late or stored else ()), *others)


def test_the_reranker_that_is_served_is_told_as_the_default(held: tuple[bool, Path]) -> None:
    with Index.open(held[1]) as index:
        told = {
            served: describe(index, served, "idle", Limits()).defaults.rerank
            for served in (None, "none", "late", "a/checkpoint")
        }
    assert told == {None: None, "none": "none", "late": "late", "a/checkpoint": "cross-encoder"}
