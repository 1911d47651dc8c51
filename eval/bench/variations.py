"""Short natural documents in any number: a corpus cut small, then repeated with changed words."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from indexer.documents import Document
from indexer.errors import ClozeError

# A paragraph of fewer words is a heading; a longer text becomes several documents.
_SHORTEST = 8
_LONGEST = 60
# Of a repeated document's words this share is drawn anew from the words of the whole corpus, each
# as likely as it is frequent.
_CHANGED = 0.2
_DRAWN = 1_000_000


def short_documents(documents: Iterable[Document], count: int) -> tuple[list[Document], int]:
    """Return `count` documents of 8 to 60 words, and how many of them are the corpus's own.

    The paragraphs of the corpus come first; what is missing are the same with one word in five
    changed, by a seed.

    Raises:
        ClozeError: the corpus has no paragraph of 8 words.
    """
    own = list(islice(_paragraphs(documents), count))
    if not own:
        raise ClozeError(f"the corpus has no paragraph of {_SHORTEST} words; give natural text")
    return own + list(islice(_changed(own), count - len(own))), len(own)


def _paragraphs(documents: Iterable[Document]) -> Iterator[Document]:
    for document in documents:
        place = 0
        for paragraph in document.text.split("\n"):
            words = paragraph.split()
            for start in range(0, len(words), _LONGEST):
                piece = words[start : start + _LONGEST]
                if len(piece) >= _SHORTEST:
                    yield Document(id=f"{document.id}-{place}", text=" ".join(piece))
                    place += 1


def _changed(own: Sequence[Document]) -> Iterator[Document]:
    rng = random.Random(0)
    texts = rng.sample(own, len(own))
    drawn = [word for each in texts[: _DRAWN // _SHORTEST] for word in each.text.split()][:_DRAWN]
    repetition = 0
    while True:
        repetition += 1
        for document in own:
            words = document.text.split()
            for place in rng.sample(range(len(words)), round(len(words) * _CHANGED)):
                words[place] = drawn[int(rng.random() * len(drawn))]
            yield replace(document, id=f"{document.id}-{repetition}", text=" ".join(words))
