"""What the clients of Cohere's and Jina's reranking send and read, as models."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from search.api.mistakes import Strict

_DOCUMENT = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "description": "It has a text, or some of rank_fields"},
    ]
}
_DOCUMENTS = {"anyOf": [{"type": "array", "items": _DOCUMENT, "minItems": 1}, {"type": "null"}]}
# One of the two fields, as null is as good as nothing.
_EITHER: list[Any] = [
    {"required": [name], "properties": {name: {"type": "array"}}} for name in ("documents", "texts")
]


class RerankBody(Strict):
    """A query, and the texts to rank by it.

    The texts are read by `search.api.inputs`, which says which of a thousand is wrong.
    """

    model_config = ConfigDict(
        title="Rerank",
        json_schema_extra={
            "example": {
                "query": "flat plate",
                "documents": ["The wind rose.", "Flow over a flat plate."],
                "top_n": 1,
            },
            "oneOf": _EITHER,
        },
    )

    query: str = Field(description="What the texts are ranked by")
    documents: Annotated[Any, WithJsonSchema(_DOCUMENTS)] = Field(
        None, description="Texts, or objects with a text or with the fields of rank_fields"
    )
    texts: Annotated[Any, WithJsonSchema(_DOCUMENTS)] = Field(
        None, description="Another name of documents"
    )
    model: str | None = Field(None, description="default, or the name of the model that ranks")
    top_n: int | None = Field(None, ge=1, description="How many of the best to return, or all")
    rank_fields: Annotated[list[str], Field(min_length=1, fail_fast=True)] | None = Field(
        None, description="Which fields of objects are ranked, joined in this order; text if none"
    )
    return_documents: bool | None = Field(None, description="Return each document with its score")
    raw_scores: bool | None = Field(
        None, description="Return the model's own score besides: a logit, or a cosine"
    )
    max_tokens_per_doc: int | None = Field(
        None, description="Not used: of a long text the best window counts"
    )
    max_chunks_per_doc: int | None = Field(None, description="Not used, as the former")
    truncate: bool | None = Field(None, description="Not used: nothing is cut")
    priority: int | None = Field(None, description="Not used")


class RankedDocument(BaseModel):
    """The document as it was sent; of a string, an object with it as its text."""

    model_config = ConfigDict(extra="allow")


class RankedAnswer(BaseModel):
    """A document by its place in the request, and how well it answers, from 0 to 1."""

    model_config = ConfigDict(title="Ranked")

    index: int
    relevance_score: float = Field(ge=0, le=1)
    raw_score: float | None = Field(None, description="With raw_scores")
    document: RankedDocument | None = Field(None, description="With return_documents")


class ApiVersion(BaseModel):
    """Which of Cohere's interfaces answered."""

    version: str


class InputTokens(BaseModel):
    """How many tokens the model read."""

    input_tokens: int


class RerankMeta(BaseModel):
    """What Cohere's clients read of an answer's making."""

    api_version: ApiVersion
    tokens: InputTokens


class RerankUsage(BaseModel):
    """What Jina's clients read of it."""

    prompt_tokens: int
    total_tokens: int


class RerankAnswer(BaseModel):
    """The best documents first; equal ones by their place in the request."""

    model_config = ConfigDict(title="Ranking")

    id: str
    object: str = Field(examples=["rerank"])
    model: str
    results: list[RankedAnswer]
    meta: RerankMeta
    usage: RerankUsage
