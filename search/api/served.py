"""The models that a service answers with, by the names that clients may say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from search.api.errors import ApiError
from search.api.mistakes import shown

if TYPE_CHECKING:
    from search.service.service import Service

Kind: TypeAlias = Literal["encoder", "cross-encoder"]

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model that has been loaded; `name` is the last part of where it came from.

    `dimension` is that of an encoder's vectors, None of a cross-encoder.
    """

    name: str
    kind: Kind
    dimension: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what OpenAI's clients read of a model."""
        return {
            "id": self.name,
            "object": "model",
            "created": 0,
            "owned_by": "cloze",
            "kind": self.kind,
        }


def served_models(service: "Service") -> tuple[ServedModel, ...]:
    """Return the encoder, if the index has one, and the cross-encoder, if one is served."""
    found = []
    if (encoder := service.encoder) is not None:
        found.append(
            ServedModel(name=_name(encoder.name), kind="encoder", dimension=encoder.dimension)
        )
    if (judge := service.cross_encoder) is not None:
        found.append(ServedModel(name=_name(judge.name), kind="cross-encoder"))
    return tuple(found)


def ranking_kind(models: Sequence[ServedModel]) -> Kind:
    """Return which kind of model ranks texts: a cross-encoder where there is one."""
    judged = any(each.kind == "cross-encoder" for each in models)
    return "cross-encoder" if judged else "encoder"


def choose_model(
    name: str | None, models: Sequence[ServedModel], kind: Kind | None = None
) -> ServedModel:
    """Return the model of a name, among those of a kind; None and `default` mean the first.

    Raises:
        ApiError: 404, model_not_found: there is no such model, or none at all.
    """
    suitable = [each for each in models if kind in (None, each.kind)]
    chosen = next((each for each in suitable if name in (None, DEFAULT, each.name)), None)
    if chosen is not None:
        return chosen
    if suitable:
        told = f"there is no model {shown(name)}; use {' or '.join(e.name for e in suitable)}"
    else:
        told = (
            "the index has no encoder; one that was built with --lexical-only gets it by: cloze "
            "reindex INDEX --model MODEL"
        )
    raise ApiError(404, told, code="model_not_found", param="model")


def _name(of: str) -> str:
    return of.rstrip("/").rsplit("/", 1)[-1]
