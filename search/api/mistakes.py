"""What a schema found wrong with a request, told in one sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

_COMPARED = 100  # code points of an unknown name, whose comparing takes time with its length
_SHOWN = 60
_UNKNOWN = "unknown_field"

# By pydantic's type of an error, what there should have been; its context fills the braces in.
_EXPECTED: Mapping[str, str] = {
    "string_type": "a string",
    "string_unicode": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": "{expected}",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "string_too_short": "not empty",
    "too_short": "not empty",
}


class Strict(BaseModel):
    """What a client sends: no field but the ones that are there, and nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, content: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Refuse the first unknown field; pydantic itself would report a million of them."""
        if isinstance(content, dict) and not content.keys() <= cls.model_fields.keys():
            name = next(name for name in content if name not in cls.model_fields)
            choices = ", ".join(cls.model_fields)
            near = nearest(name, list(cls.model_fields))
            raise PydanticCustomError(
                _UNKNOWN,
                "{hint}",
                {"name": name, "hint": f"did you mean {near}?" if near else f"choose {choices}"},
            )
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """The first thing wrong with a request: a sentence, a word for programs, and where it is."""

    message: str
    code: str
    param: str


def nearest(name: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a name was probably meant to be."""
    from difflib import get_close_matches

    near = get_close_matches(name[:_COMPARED], choices, n=1, cutoff=0.5)
    return near[0] if near else None


def shown(value: object) -> str:
    """Return a JSON value as a message has it, cut where it is long."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value) if len(value) <= _SHOWN else repr(value[:_SHOWN]) + "..."
        case list():
            return "a list"
        case dict():
            return "an object"
    return f"{value}"


def tell_mistake(error: ValidationError, content: object) -> Mistake:
    """Tell the first mistake that a model found in what a client sent."""
    details = error.errors(include_url=False, include_input=False)
    first = details[0]
    path, value = _place(first["loc"], content)
    if first["type"] == _UNKNOWN:
        name = shown(first["ctx"]["name"])
        where = f" of {path}" if path else ""
        message = f"there is no field {name}{where}; {first['ctx']['hint']}"
        return Mistake(message=message, code="unknown_field", param=_joined(path, first))
    if first["type"] == "missing":
        path = ".".join(filter(None, (path, str(first["loc"][-1]))))
        return Mistake(message=f"{path} is missing", code="missing_field", param=path)
    # A field of several types has a mistake for each of them.
    alternatives = [
        _expected(each)
        for each in details
        if each["type"] != "none_required" and _place(each["loc"], content)[0] == path
    ]
    wanted = " or ".join(dict.fromkeys(alternatives))
    message = f"{path} is {shown(value)}; it must be {wanted}"
    return Mistake(message=message, code="invalid_value", param=path)


def _joined(path: str, error: ErrorDetails) -> str:
    name = str(error["ctx"]["name"])[:_COMPARED]
    return f"{path}.{name}" if path else name


def _expected(error: ErrorDetails) -> str:
    known = _EXPECTED.get(error["type"])
    if known is None:
        return error["msg"][:1].lower() + error["msg"][1:]
    bounds = error.get("ctx", {})
    return known.format(
        **{
            name: f"{bound:g}" if isinstance(bound, float) else bound
            for name, bound in bounds.items()
        }
    )


def _place(location: Sequence[int | str], content: object) -> tuple[str, Any]:
    """Return the path that a location means, as documents[2].title, and the value there.

    What is no step into the content is pydantic's name for one of several types.
    """
    path = ""
    for step in location:
        if isinstance(content, dict) and step in content:
            path = f"{path}.{step}" if path else str(step)
            content = content[step]
        elif isinstance(content, list) and isinstance(step, int):
            path = f"{path}[{step}]"
            content = content[step]
    return path, content
