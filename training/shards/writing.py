"""Shards written: text in, finished shards out; what a stopped run finished is kept."""

import hashlib
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from indexer.errors import ClozeError
from indexer.lock import writer_lock
from training.held_out import check_share, threshold_of
from training.shards.building import Building
from training.shards.files import (
    RULES,
    ShardSeal,
    finished_shards,
    is_sealed,
    load_array,
    write_seal,
    write_shard,
)
from training.shards.shards import Shards
from training.shards.tokenising import tokenised
from training.shards.words import encoder, id_code
from training.text import Advance, Reading, Texts
from training.tokenizer import OpenTokenizer, open_tokenizer

SHARD_TOKENS = 4_000_000
_NAME = 16  # hexadecimal digits of the content's hash


def write_shards(
    texts: Sequence[str],
    tokenizer: Path,
    *,
    home: Path,
    held_out: float = 0.01,
    reading: Reading | None = None,
    shard_tokens: int = SHARD_TOKENS,
    progress: Advance | None = None,
) -> Shards:
    """Tokenise texts into a folder below `home` named by their content, or find it there finished.

    Of a run that was stopped the finished shards are kept: what they hold is read again, but not
    tokenised again. `held_out` is the share of the documents, by the hash of their text, that
    training never sees. `progress` hears of tokens.

    Raises:
        ClozeError: the texts can't be read, hold no token or no two different documents, the
            tokenizer isn't one, or another process writes the same shards.
    """
    check_share(held_out)
    opened = open_tokenizer(tokenizer)
    documents = Texts(texts, reading or Reading())
    before = documents.content_hash()
    facts = [before, opened.content_hash, f"{held_out} {shard_tokens} {RULES}"]
    content_hash = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    folder = home / content_hash[:_NAME]
    if not is_sealed(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with writer_lock(folder):
            if not is_sealed(folder):
                seals = _finish(folder, documents, opened, shard_tokens, progress)
                _check_unchanged(folder, documents, before)
                _seal(folder, seals, documents, held_out, content_hash)
    return Shards.open(folder)


def _finish(
    folder: Path,
    documents: Texts,
    tokenizer: OpenTokenizer,
    shard_tokens: int,
    progress: Advance | None,
) -> list[ShardSeal]:
    """Write the shards that aren't finished yet, and return the seals of all."""
    seals = finished_shards(folder)
    stream = iter(documents)
    _pass_over(stream, sum(seal.read for seal in seals))
    done = sum(seal.tokens for seal in seals)
    code = id_code(tokenizer.size)
    building = Building(code)
    for document in tokenised(stream, encoder(tokenizer.tokenizer, code)):
        building.add(document.sentences, document.hashed)
        if progress:
            progress(done + building.tokens, documents.position())
        if building.tokens >= shard_tokens:
            seals.append(write_shard(folder, len(seals), building.arrays(), building.read))
            done += building.tokens
            building = Building(code)
    if building.tokens:
        seals.append(write_shard(folder, len(seals), building.arrays(), building.read))
    return seals


def _check_unchanged(folder: Path, texts: Texts, before: str) -> None:
    """Give up shards of texts that were changed while they were read: their name would be wrong."""
    if texts.content_hash() != before:
        shutil.rmtree(folder)
        raise ClozeError(
            f"{texts.describe()} changed while it was read; run the command again once nobody "
            "writes to it"
        )


def _pass_over(stream: Iterator[str], count: int) -> None:
    deque(islice(stream, count), maxlen=0)


def _seal(
    folder: Path, seals: list[ShardSeal], texts: Texts, held_out: float, content_hash: str
) -> None:
    """Choose the documents held out, and write the seal of all shards."""
    if not seals:
        raise ClozeError(f"there is no text in {texts.describe()}; give files that hold some")
    hashes = np.concatenate([load_array(folder, "hashes", n) for n in range(len(seals))])
    threshold = threshold_of(int(hashes.min()), int(hashes.max()), held_out)
    if threshold is None:
        raise ClozeError(
            f"{texts.describe()}: the text is one document, and at least one to train on and one "
            "to evaluate are needed; give more text, or as JSON lines, a document a line"
        )
    write_seal(
        folder,
        seals,
        content_hash=content_hash,
        threshold=threshold,
        held_out=int((hashes < np.uint64(threshold)).sum()),
    )
