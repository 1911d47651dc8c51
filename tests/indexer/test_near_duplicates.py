"""Near-duplicates: sketches against exact Jaccard, collapsing and counting against brute force."""

import gzip
import json
import random
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.documents import Document
from indexer.near_duplicates import (
    MIN_WORDS,
    READ,
    SLOTS,
    THRESHOLD,
    count_near_duplicates,
    representatives,
    similarity,
    sketch,
)
from indexer.passages import PassageRule
from indexer.preparation import prepare
from indexer.store import Store

FOX = "The quick brown fox jumps over the lazy dog and runs away from the river bank at noon."
HAN = "搜索引擎用向量找文本，中国人在山上看日月星海大小，学生去年读了好书。"
FOX_SKETCH = (
    "b8a5a8d41591abd88dfe3ef0a42a0e0b3c1d6c33759353514d227e0b7bba66ae"
    "fbc063a484a24670d7ba8a5a098f99a014069410f96d58d3f4aa3248a5e741f2"
)
HAN_SKETCH = (
    "cbd3bc5c32813efd77bf71a36b2f63b21844bf8952361a8a08290be8ffea424c"
    "8ad2a16f511f1729afd69e04be1dbebb8fe6645ba187ff8c1606a6b930e35bee"
)


def made(text: str) -> bytes:
    found = sketch(text)
    assert found is not None
    return found


def jaccard(first: str, second: str) -> float:
    """Exactly what a sketch estimates, for English texts, by a splitting of its own."""
    sets = []
    for text in (first, second):
        words = re.findall(r"[0-9a-z\x80-\U0010ffff]+", text.lower())
        sets.append({f"{a} {b}" for a, b in pairwise(words)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def near(first: bytes, second: bytes) -> bool:
    return similarity(first, second) >= THRESHOLD


def test_a_sketch_has_the_same_bytes_for_ever() -> None:
    assert made(FOX).hex() == FOX_SKETCH
    assert made(HAN).hex() == HAN_SKETCH


def test_a_process_of_another_hash_seed_makes_the_same_sketch() -> None:
    code = f"from indexer.near_duplicates import sketch; print(sketch({FOX!r}).hex())"
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert found.stdout.strip() == made(FOX).hex()


def test_case_and_punctuation_do_not_count_but_order_does() -> None:
    assert sketch(FOX.upper().replace(" ", " - ")) == sketch(FOX)
    assert not near(made(" ".join(reversed(FOX.split()))), made(FOX))
    assert sketch("ÉTÉ " * 20) == sketch("été " * 20)


def test_a_text_of_few_words_has_none() -> None:
    words = FOX.split()
    assert sketch(" ".join(words[:MIN_WORDS])) is not None
    assert sketch(" ".join(words[: MIN_WORDS - 1])) is None
    assert sketch("") is None
    assert sketch("...!?  \n") is None
    assert sketch(HAN[: MIN_WORDS - 1]) is None


def test_chinese_counts_characters() -> None:
    text = HAN * 2
    changed = text.replace("好书", "坏书", 1)
    other = "".join(reversed(text))
    assert near(made(changed), made(text))
    assert not near(made(other), made(text))


def test_a_text_of_any_length_is_read_to_a_bound() -> None:
    words = [f"w{n}" for n in range(READ)]
    text = " ".join(words)
    assert sketch(text) == sketch(text[:READ])
    assert sketch(text[: READ // 2]) != sketch(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_has_a_sketch_or_none(text: str) -> None:
    found = sketch(text)
    assert found is None or len(found) == SLOTS
    assert sketch(text) == found


def test_similarity_is_the_share_of_equal_slots_less_chance() -> None:
    first = bytes(range(64))
    assert similarity(first, first) == 1.0
    assert similarity(first, bytes(range(64, 128))) == 0.0
    half = first[:32] + bytes(range(128, 160))
    assert similarity(first, half) == pytest.approx((0.5 - 1 / 256) / (255 / 256))


def _edited(text: str, edits: int, chance: random.Random) -> str:
    words = text.split()
    for _ in range(edits):
        words[chance.randrange(len(words))] = f"other{chance.randrange(1000)}"
    return " ".join(words)


def test_sketches_agree_with_exact_jaccard_on_wikipedia(real_data: Path) -> None:
    chance = random.Random(0)
    texts = []
    with gzip.open(real_data / "text" / "enwiki.jsonl.gz", "rt") as file:
        for line, _ in zip(file, range(100), strict=False):
            paragraphs = json.loads(line)["text"].split("\n")
            texts += [each for each in paragraphs if len(each.split()) > 15]
    errors, wrong, found, relevant = [], 0, 0, 0
    for text in texts[:400]:
        for share in (0.02, 0.05, 0.1):
            other = _edited(text, max(1, round(len(text.split()) * share)), chance)
            exact = jaccard(text, other)
            told = similarity(made(text), made(other))
            errors.append(told - exact)
            if exact < THRESHOLD - 0.1 or exact > THRESHOLD + 0.1:
                wrong += (told >= THRESHOLD) != (exact >= THRESHOLD)
            found += told >= THRESHOLD
            relevant += told >= THRESHOLD and exact >= THRESHOLD
    assert abs(float(np.mean(errors))) < 0.005
    assert float(np.std(errors)) < 0.05
    assert wrong <= 2  # of 1,200
    assert relevant / found > 0.93


def _family(chance: random.Random, size: int) -> list[bytes]:
    """Sketches of which some are near-duplicates, some just not, some of none."""
    base = bytearray(chance.randbytes(SLOTS))
    family = []
    for _ in range(size):
        changed = bytearray(base)
        for slot in chance.sample(range(SLOTS), chance.choice([0, 3, 6, 9, 12, 13, 20])):
            changed[slot] = chance.randrange(256)
        family.append(bytes(changed))
    return family


def _slow_representatives(sketches: list[bytes | None]) -> list[int]:
    found: list[int] = []
    for place, each in enumerate(sketches):
        kept = (
            n for n in range(place)
            if found[n] == n and each is not None and (other := sketches[n]) and near(each, other)
        )  # fmt: skip
        found.append(next(kept, place))
    return found


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 12), max_size=6), st.integers(0, 5))
def test_representatives_are_those_of_brute_force(seed: int, sizes: list[int], none: int) -> None:
    chance = random.Random(seed)
    sketches: list[bytes | None] = [None] * none
    for size in sizes:
        sketches += _family(chance, size)
    chance.shuffle(sketches)
    assert representatives(sketches) == _slow_representatives(sketches)


def test_representatives_of_equal_unlike_and_no_sketches() -> None:
    assert representatives([]) == []
    assert representatives([None, None]) == [0, 1]
    one, two = bytes(64), bytes(range(64))
    assert representatives([two, None, one, two, one, None, two]) == [0, 1, 2, 0, 2, 5, 0]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 60))
def test_the_count_is_that_of_brute_force(seed: int, families: int) -> None:
    chance = random.Random(seed)
    sketches = [each for _ in range(families) for each in _family(chance, chance.choice([1, 2]))]
    chance.shuffle(sketches)
    expected = sum(
        any(near(each, other) for other in sketches[:place]) for place, each in enumerate(sketches)
    )
    assert count_near_duplicates(sketches) == expected


def test_equal_texts_count_all_but_the_first() -> None:
    assert count_near_duplicates([bytes(64)] * 5000) == 4999
    assert count_near_duplicates([]) == 0


def test_the_store_keeps_sketches_through_a_change_of_metadata(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    rule = PassageRule(tokens=0, overlap=0)

    def write(*documents: Document) -> None:
        batch = prepare(documents, store, None, rule, lambda _: None)
        with store.transaction():
            store.write(batch.entries)

    copy = FOX.replace("noon", "night")
    write(Document(id="a", text=FOX), Document(id="b", text=copy), Document(id="c", text="short"))
    assert store.counts()["near_duplicates"] == 1
    write(Document(id="a", text=FOX, metadata={"year": 2001}))
    numbers = {id: row.number for id, row in store.live(["a", "b", "c"]).items()}
    kept = store.sketches(list(numbers.values()))
    assert [kept[numbers[id]] for id in "abc"] == [sketch(FOX), sketch(copy), None]
    assert store.counts()["near_duplicates"] == 1
    with store.transaction():
        store.delete(["b"])
    assert store.counts()["near_duplicates"] == 0
    store.close()
