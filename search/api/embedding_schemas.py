"""What the clients of OpenAI's embeddings send and read, as models."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from search.api.mistakes import Strict

_TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_INPUT = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        _TOKENS,
        {"type": "array", "items": _TOKENS, "minItems": 1},
    ]
}


class EmbeddingsBody(Strict):
    """Texts, or token ids of the served model, to make vectors of.

    `input` is read by `search.api.inputs`, which says which of a thousand inputs is wrong.
    """

    model_config = ConfigDict(
        title="Embeddings",
        json_schema_extra={"example": {"input": ["flow over a flat plate"], "model": "default"}},
    )

    input: Annotated[Any, WithJsonSchema(_INPUT)] = Field(
        description="A text, a list of texts, a list of token ids, or a list of such lists; "
        "special tokens are put around token ids, and no prompt before them"
    )
    model: str | None = Field(None, description="default, or the name of the served encoder")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="base64 is little-endian float32"
    )
    dimensions: int | None = Field(
        None, ge=1, description="The model's own, or left out: vectors are not cut"
    )
    input_type: Literal["document", "query"] | None = Field(
        None, description="Which of the model's prompts goes before a text; document where left out"
    )
    user: str | None = Field(None, description="Not used")


class EmbeddingAnswer(BaseModel):
    """The vector of one input; a string where base64 was asked for."""

    model_config = ConfigDict(title="EmbeddingVector")

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class TokensAnswer(BaseModel):
    """How many tokens the model read, special ones included."""

    model_config = ConfigDict(title="Tokens")

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """The vectors in the order of the inputs; `truncated` lists the inputs whose end was cut."""

    model_config = ConfigDict(title="EmbeddingVectors")

    object: Literal["list"]
    data: list[EmbeddingAnswer]
    model: str
    usage: TokensAnswer
    truncated: list[int]


class ModelAnswer(BaseModel):
    """A model that the service answers with; `kind` is encoder or cross-encoder."""

    model_config = ConfigDict(title="Model")

    id: str
    object: Literal["model"]
    created: int = Field(description="Not known, and so always 0")
    owned_by: str
    kind: Literal["encoder", "cross-encoder"]


class ModelsAnswer(BaseModel):
    """The models that the service answers with."""

    model_config = ConfigDict(title="Models")

    object: Literal["list"]
    data: list[ModelAnswer]
