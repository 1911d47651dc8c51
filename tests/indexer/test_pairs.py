"""Pairs as token rows, against the tokenizer of transformers."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors

from indexer.errors import ClozeError
from indexer.runtime.pairs import PairTokenizer, longest_first
from indexer.runtime.rows import TokenRow
from tests.indexer.classifiers import write_classifier

WORDS = st.sampled_from(
    ["dog", "boundary", "layers", "用", "🎉", "x7", "The", "\n", "été", "[SEP]"]
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.lists(WORDS, max_size=90).map(" ".join),
)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def folder(make_model: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(make_model(5), tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:  # noqa: ANN401 - transformers ships no types for it
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@given(pairs=PAIRS, limit=st.sampled_from([4, 5, 9, 16, 33, 64]))
def test_rows_are_those_of_transformers(
    tokenizer: Tokenizer,
    theirs: Any,  # noqa: ANN401
    pairs: list[tuple[str, str]],
    limit: int,
) -> None:
    expected = theirs(
        [first for first, _ in pairs],
        [second for _, second in pairs],
        truncation="longest_first",
        max_length=limit,
    )
    rows = PairTokenizer(tokenizer, limit, "model").rows(pairs)
    assert [list(row.ids) for row in rows] == expected["input_ids"]
    assert [list(row.types or []) for row in rows] == expected["token_type_ids"]


@pytest.mark.parametrize(
    ("template", "ids", "types"),
    [
        ("[CLS] $A [SEP] [SEP] $B [SEP]", "2 A 3 3 B 3", [0, 0, 0, 0, 0, 0]),
        ("$A:1 [SEP] $B:0 [SEP]:1 [CLS]", "A 3 B 3 2", [1, 0, 0, 1, 0]),
        ("$A [SEP] $B", "A 3 B", [0, 0, 0]),
    ],
)
def test_the_template_is_the_tokenizers_own(
    folder: Path, template: str, ids: str, types: list[int]
) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair=template, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"A": tokenizer.token_to_id("dog"), "B": tokenizer.token_to_id("cat")}
    rows = PairTokenizer(tokenizer, 64, "model").rows([("dog", "cat")])
    assert rows == [TokenRow([names.get(each) or int(each) for each in ids.split()], types)]


@pytest.mark.parametrize("template", [None, "[CLS] $A $B [SEP]"])
def test_texts_with_nothing_between_them_are_an_error(folder: Path, template: str | None) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=template, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    with pytest.raises(ClozeError, match=r"tokenizer\.json of the model puts no special token"):
        PairTokenizer(tokenizer, 64, "the model")


@pytest.mark.parametrize(
    ("first", "second", "room", "kept"),
    [
        (3, 7, 10, (3, 7)),
        (3, 8, 10, (3, 7)),
        (8, 3, 10, (7, 3)),
        (50, 60, 11, (5, 6)),
        (60, 50, 11, (6, 5)),
        (50, 50, 11, (5, 6)),
        (0, 50, 11, (0, 11)),
    ],
)
def test_the_longer_text_is_cut(first: int, second: int, room: int, kept: tuple[int, int]) -> None:
    assert longest_first(first, second, room) == kept


def test_two_long_texts_take_no_more_than_they_are(tokenizer: Tokenizer) -> None:
    choose = random.Random(0)
    words = [choose.choices(["dog", "sea", "wing"], k=60_000) for _ in range(2)]
    whole, cut = (
        PairTokenizer(tokenizer, 64, "model").rows([(" ".join(first[:k]), " ".join(second[:k]))])
        for first, second in [words]
        for k in (60_000, 100)
    )
    assert whole == cut
    assert len(whole[0].ids) == 64
