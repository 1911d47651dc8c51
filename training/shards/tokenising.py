"""Documents turned into the ids of their sentences, a batch at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from indexer.passages import sentences
from training.held_out import text_hash
from training.shards.words import Encode

# The tokenizer sees about so many characters at a time: enough for all of its threads, and some
# 50 MB of what it makes of them.
_BATCH_CHARACTERS = 500_000
_LONGEST_SENTENCE = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    """A document's sentences and the hash of its text."""

    sentences: list[str]
    hashed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenised:
    """A document's ids by sentence, as bytes, and the hash of its text."""

    sentences: list[bytes]
    hashed: int


def tokenised(documents: Iterable[str], encode: Encode) -> Iterator[Tokenised]:
    """Yield every document in its order, those without a token too."""
    for batch in _batches(documents):
        texts = [sentence for split in batch for sentence in split.sentences]
        ids = (each for part in _parts(texts) for each in encode(part))
        for split in batch:
            own = [next(ids) for _ in split.sentences]
            yield Tokenised(sentences=own, hashed=split.hashed)


def _batches(documents: Iterable[str]) -> Iterator[list[_Split]]:
    batch: list[_Split] = []
    characters = 0
    for document in documents:
        batch.append(_Split(sentences=list(_sentences(document)), hashed=text_hash(document)))
        characters += len(document)
        if characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _sentences(document: str) -> Iterator[str]:
    for sentence in sentences(document):
        while len(sentence) > _LONGEST_SENTENCE:
            end = sentence.rfind(" ", 1, _LONGEST_SENTENCE) + 1 or _LONGEST_SENTENCE
            yield sentence[:end]
            sentence = sentence[end:]
        if sentence:
            yield sentence


def _parts(texts: list[str]) -> Iterator[list[str]]:
    """Cut a batch into parts of one batch's size; a long document makes more than one."""
    part: list[str] = []
    characters = 0
    for text in texts:
        part.append(text)
        characters += len(text)
        if characters >= _BATCH_CHARACTERS:
            yield part
            part, characters = [], 0
    yield part
