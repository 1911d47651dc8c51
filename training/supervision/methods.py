"""The methods by the names that a user gives."""

import difflib
from collections.abc import Mapping

from indexer.errors import ClozeError
from training.supervision.crops import crops
from training.supervision.inverse_cloze import inverse_cloze
from training.supervision.key_phrases import key_phrases
from training.supervision.neighbours import neighbours
from training.supervision.pair import Method
from training.supervision.sentences import sentence_to_paragraph
from training.supervision.title import title_to_body

METHODS: Mapping[str, Method] = {
    "title": title_to_body,
    "inverse-cloze": inverse_cloze,
    "neighbours": neighbours,
    "crops": crops,
    "key-phrases": key_phrases,
    "sentences": sentence_to_paragraph,
}


def chosen_methods(text: str) -> tuple[str, ...]:
    """Return the names in a text with commas between, each once.

    Raises:
        ClozeError: there is no such method (the nearest is named), or none is named.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise ClozeError(f"--method names none; choose of {', '.join(METHODS)}")
    for name in names:
        if name not in METHODS:
            near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.0)[0]
            raise ClozeError(
                f"there is no method {name!r}: did you mean {near!r}? Methods: {', '.join(METHODS)}"
            )
    return names
