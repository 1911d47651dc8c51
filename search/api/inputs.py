"""Texts and tokens of a request, whose mistakes name the one that is wrong."""

from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from search.api.errors import ApiError, within
from search.api.mistakes import shown
from search.service.settings import Limits

Inputs: TypeAlias = list[str] | list[list[int]]


def read_inputs(value: object, limits: Limits) -> Inputs:
    """Return what to embed as a list of texts, or of token lists: one text is a list of one.

    Raises:
        ApiError: 422, something else, nothing, too much, or a mixture of both.
    """
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        _wrong("input", value, "a text, a list of texts, or token ids")
    _not_empty("input", value)
    if _is_token(value[0]):
        return [_tokens(value, "input", limits)]
    within(len(value), limits.texts, param="input", flag="--max-texts", counted="inputs")
    if isinstance(value[0], list):
        return [_tokens(each, f"input[{place}]", limits) for place, each in enumerate(value)]
    return [_text(each, f"input[{place}]", limits) for place, each in enumerate(value)]


def read_documents(
    value: object, name: str, fields: Sequence[str] | None, limits: Limits
) -> tuple[list[str], list[Any]]:
    """Return the texts to rank, and the documents that they are of, from a field of this name.

    The text of an object is the texts in its `fields`, a line each, in their order; one that it
    has not is passed over. Without `fields` it is its `text`.

    Raises:
        ApiError: 422, something that is no list of texts and objects with texts, or too much.
    """
    if not isinstance(value, list):
        _wrong(name, value, "a list of texts, or of objects with a text")
    _not_empty(name, value)
    within(len(value), limits.texts, param=name, flag="--max-texts", counted="texts")
    documents = [each if isinstance(each, dict) else {"text": each} for each in value]
    texts = [_text_of(each, f"{name}[{place}]", fields, limits) for place, each in enumerate(value)]
    return texts, documents


def _text_of(document: object, name: str, fields: Sequence[str] | None, limits: Limits) -> str:
    if not isinstance(document, dict):
        return _text(document, name, limits)
    if fields is None:
        if "text" not in document:
            raise ApiError(
                422, f"{name}.text is missing", code="missing_field", param=f"{name}.text"
            )
        return _text(document["text"], f"{name}.text", limits)
    texts = [_text(document[each], f"{name}.{each}", limits) for each in fields if each in document]
    if not texts:
        raise ApiError(
            422, f"{name} has none of rank_fields; name fields that it has", code="missing_field",
            param=name,
        )  # fmt: skip
    return _text("\n".join(texts), name, limits)


def _text(value: object, name: str, limits: Limits) -> str:
    if not isinstance(value, str):
        _wrong(name, value, "a text")
    within(len(value), limits.text, param=name, flag="--max-text", counted="characters")
    return value


def _tokens(value: object, name: str, limits: Limits) -> list[int]:
    if not isinstance(value, list):
        _wrong(name, value, "a list of token ids")
    _not_empty(name, value)
    within(len(value), limits.text, param=name, flag="--max-text", counted="tokens")
    for place, token in enumerate(value):
        if not _is_token(token) or token < 0:
            _wrong(f"{name}[{place}]", token, "a token id, 0 or more")
    return value


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _not_empty(name: str, values: Sequence[object]) -> None:
    if not values:
        raise ApiError(422, f"{name} is empty; it must hold something", code="invalid_value",
                       param=name)  # fmt: skip


def _wrong(name: str, value: object, wanted: str) -> NoReturn:
    raise ApiError(
        422, f"{name} is {shown(value)}; it must be {wanted}", code="invalid_value", param=name
    )
