"""What clients send, as pydantic models whose documentation is the API's."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from search.api.mistakes import Strict

Rerank = bool | Literal["none", "late", "cross-encoder"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
# A long list of wrong values is wrong at its first.
Texts = Annotated[list[str], Field(fail_fast=True)]


class SearchOptions(Strict):
    """How to search; what is left out is the index's default."""

    top: int = Field(10, ge=0, description="How many hits", examples=[5])
    offset: int = Field(0, ge=0, description="How many hits to pass over", examples=[0])
    mode: Literal["hybrid", "dense", "lexical"] | None = Field(
        None, description="hybrid where the index has vectors", examples=["hybrid"]
    )
    fusion: Literal["minmax", "rrf"] | None = Field(
        None, description="How hybrid fuses its two rankings", examples=["minmax"]
    )
    weight: Share | None = Field(
        None, description="The dense score's share in minmax", examples=[0.5]
    )
    depth: int | None = Field(
        None, ge=1, description="Candidates of each retrieval", examples=[1000]
    )
    filter: str | dict[str, Any] | None = Field(
        None,
        description="A condition on metadata, as text or as JSON",
        examples=["year >= 1960 and lang = en"],
    )
    passages: int = Field(1, ge=1, description="Passages of each hit", examples=[1])
    count: bool = Field(False, description="Count all matches exactly", examples=[False])
    rerank: Rerank | None = Field(
        None,
        description="true is the reranker that the service was started with, false is none",
        examples=["none"],
    )
    rerank_depth: int | None = Field(
        None, ge=1, description="How many of the first to rerank", examples=[None]
    )
    rerank_weight: Share | None = Field(
        None, description="The reranker's share in the score", examples=[None]
    )
    highlight: bool = Field(True, description="Mark the query's words", examples=[True])
    explain: bool = Field(False, description="Tell how scores came about", examples=[False])
    facets: Texts = Field([], description="Metadata fields to count values of", examples=[["lang"]])
    collapse: bool = Field(
        False, description="Fold near-duplicates into the best of them", examples=[False]
    )


class SearchBody(SearchOptions):
    """A search: either `query`, or `queries` that are answered at one commit."""

    model_config = ConfigDict(
        title="Search",
        json_schema_extra={
            "example": {"query": "boundary layer of a flat plate", "top": 3},
            "oneOf": [{"required": ["query"]}, {"required": ["queries"]}],
        },
    )

    query: str | SkipJsonSchema[None] = Field(
        None, description="What to find", examples=["laminar flow"]
    )
    queries: Annotated[list[str], Field(min_length=1, fail_fast=True)] | SkipJsonSchema[None] = (
        Field(None, description="Several at once", examples=[["laminar flow", "shock wave"]])
    )


class SearchParameters(SearchOptions):
    """A search in a URL."""

    q: str


class DocumentBody(Strict):
    """One document; its metadata are JSON values by field."""

    model_config = ConfigDict(title="Document")

    id: str = Field(min_length=1, description="Yours; it replaces what has it", examples=["d1"])
    title: str = Field("", examples=["Flat plates"])
    text: str = Field(examples=["The boundary layer of a flat plate is laminar at first."])
    metadata: dict[str, Any] = Field({}, examples=[{"year": 1962, "lang": "en"}])


class PutBody(Strict):
    """Documents to add, or to replace those with their ids."""

    model_config = ConfigDict(
        title="Put",
        json_schema_extra={
            "example": {
                "documents": [
                    {
                        "id": "d1",
                        "title": "Flat plates",
                        "text": "The boundary layer of a flat plate is laminar at first.",
                        "metadata": {"year": 1962},
                    }
                ]
            }
        },
    )

    documents: list[DocumentBody] = Field(min_length=1, fail_fast=True)


class DeleteBody(Strict):
    """Which documents to delete."""

    model_config = ConfigDict(
        title="DeleteMatching", json_schema_extra={"example": {"filter": "year < 1950"}}
    )

    filter: str | dict[str, Any] = Field(
        description="A condition on metadata, as text or as JSON", examples=["year < 1950"]
    )
