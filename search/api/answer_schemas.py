"""What the service answers, as models for the documentation alone: nothing is checked by them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ErrorContent(BaseModel):
    """What was wrong: a sentence for people, `code` and `type` for programs."""

    code: str = Field(examples=["limit_exceeded"])
    message: str = Field(examples=["top is 5,000; at most 1,000 (--max-top)"])
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(description="The field at fault", examples=["top"])
    id: str = Field(description="The request's id, as in the server's log", examples=["5f0c2a9e"])


class ErrorAnswer(BaseModel):
    """Every error is answered with this."""

    model_config = ConfigDict(title="Error")

    error: ErrorContent


class SpanAnswer(BaseModel):
    """Code points [start, end) of the document's text."""

    model_config = ConfigDict(title="Span")

    start: int
    end: int


class ScoredPassageAnswer(SpanAnswer):
    """A passage, and how near the query is to it."""

    model_config = ConfigDict(title="ScoredPassage")

    score: float


class PlaceAnswer(BaseModel):
    """Where a stage had the document; `weight` is a reranker's share in the score."""

    model_config = ConfigDict(title="Place")

    rank: int
    score: float
    weight: float | None = None


class HitAnswer(BaseModel):
    """A document that answers the query, with its way through the stages."""

    model_config = ConfigDict(title="Hit")

    rank: int
    id: str
    score: float
    title: str
    snippet: str
    snippet_start: int
    highlights: list[SpanAnswer]
    passage: SpanAnswer
    passages: list[ScoredPassageAnswer]
    metadata: dict[str, Any]
    stages: dict[str, PlaceAnswer | None]
    duplicates: list[str] | None = Field(None, description="With collapse")
    explanation: dict[str, Any] | None = Field(None, description="With explain")
    probability: float | None = Field(
        None, ge=0, le=1, description="Of relevance, by a calibrated cross-encoder", examples=[0.87]
    )


class FacetValueAnswer(BaseModel):
    """A value of a field, and how many of the candidates have it."""

    model_config = ConfigDict(title="FacetValue")

    value: str | float | bool | None
    count: int


class FacetsAnswer(BaseModel):
    """The most frequent values of fields among the candidates of the retrievals."""

    model_config = ConfigDict(title="Facets")

    counted: int
    fields: dict[str, list[FacetValueAnswer]]


class ResultsAnswer(BaseModel):
    """The answer to one query, as `cloze search --json` prints it."""

    model_config = ConfigDict(title="Results")

    query: str
    mode: Literal["hybrid", "dense", "lexical"]
    hits: list[HitAnswer]
    total_matches: int | None
    took_ms: dict[str, float]
    notices: list[str]
    facets: FacetsAnswer | None = Field(None, description="With facets")
    plan: dict[str, Any] | None = Field(None, description="With explain")
    index_version: str


class ManyResultsAnswer(BaseModel):
    """The answers to several queries, in their order, all of one commit."""

    model_config = ConfigDict(title="ManyResults")

    results: list[ResultsAnswer]
    index_version: str


class DocumentAnswer(BaseModel):
    """A document as it was put."""

    model_config = ConfigDict(title="StoredDocument")

    id: str
    title: str
    text: str
    metadata: dict[str, Any]
    index_version: str


class WrittenAnswer(BaseModel):
    """What a write changed; it is on disk and searchable."""

    model_config = ConfigDict(title="Written")

    added: int
    updated: int
    unchanged: int
    deleted: int
    index_version: str
    notices: list[str]


class CompactionAnswer(BaseModel):
    """Whether a compaction runs."""

    model_config = ConfigDict(title="Compaction")

    compaction: str = Field(examples=["running"])


class FieldAnswer(BaseModel):
    """A metadata field: the types of its values, and how many documents have it."""

    model_config = ConfigDict(title="IndexField")

    name: str
    kinds: list[str] = Field(examples=[["number"]])
    documents: int


class EncoderAnswer(BaseModel):
    """The encoder that made the index's vectors; `precision` is the number format of documents."""

    model_config = ConfigDict(title="IndexEncoder")

    name: str
    content_hash: str
    dimension: int
    pooling: str
    normalize: bool
    query_prompt: str
    document_prompt: str
    max_tokens: int
    precision: str
    calibration: str


class DefaultsAnswer(BaseModel):
    """How the index is searched where a query does not say; null is the built-in way."""

    model_config = ConfigDict(title="IndexDefaults")

    fusion: str | None
    weight: float | None
    depth: int | None
    rerank: str | None
    rerank_depth: int | None
    rerank_weight: float | None


class IndexAnswer(BaseModel):
    """What the index holds and how it is served."""

    model_config = ConfigDict(title="Index")

    name: str
    version: str
    documents: int
    passages: int
    size_bytes: int
    language: str
    analyzer: dict[str, Any] = Field(description="The rules by which words are made of texts")
    fields: list[FieldAnswer]
    modes: list[str] = Field(examples=[["hybrid", "dense", "lexical"]])
    encoder: EncoderAnswer | None = Field(description="null for an index of words alone")
    rerankers: list[str] = Field(
        description="What a search may name", examples=[["none", "late", "cross-encoder"]]
    )
    defaults: DefaultsAnswer
    compaction: str = Field(description="idle, running, or failed: and why", examples=["idle"])
    faiss: str | None = Field(description="The kind of the vectors' index", examples=["Flat"])
    limits: dict[str, int] = Field(
        description="The most that a request may ask for", examples=[{"top": 1000}]
    )


class HealthAnswer(BaseModel):
    """How the service is."""

    model_config = ConfigDict(title="Health")

    status: str = Field(examples=["ready"])
