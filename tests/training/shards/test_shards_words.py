import re
from array import array
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from indexer.passages import sentence_ends
from training.shards import words
from training.shards.words import WordIds, encoder, reads_by_words

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("aeéÀ ,.水火'-\u0301\u200b\u00a0İß")
    | st.sampled_from("a \0\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x7f\x85"),
    max_size=60,
)


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))


@given(texts=st.lists(TEXTS, max_size=8))
@example(texts=["the [SEP] cat", "[MASK]the", "", " ", "a" * 300 + " b"])
@example(texts=["a bad\x0bword", "the\x1cre \x1f", "one\x85two three", "[SE\x0cP] first\x0cpage"])
@example(texts=["\u0301 \u200b x", "\u00a0\u2028cat\u3000dog"])
def test_words_looked_up_are_what_the_tokenizer_makes_of_the_text(
    tokenizer: Tokenizer, texts: list[str]
) -> None:
    found = WordIds(tokenizer, "H")(texts)
    whole = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert [array("H", each).tolist() for each in found] == whole


def test_forgotten_words_are_learned_again(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"the cat {number} and the dog" for number in range(2000)]
    unbounded = WordIds(tokenizer, "I")(texts)
    monkeypatch.setattr(words, "_KNOWN_BYTES", 10_000)
    bounded = WordIds(tokenizer, "I")
    found = []
    for text in texts:
        found += bounded([text])
        assert len(bounded._known) < 60
    assert found == unbounded


def test_tokenizers_that_look_beyond_a_word_read_whole_texts(
    tokenizer: Tokenizer, tokenizer_folder: Path
) -> None:
    assert reads_by_words(tokenizer)
    for part, other in (
        ("normalizer", normalizers.Lowercase()),
        ("normalizer", normalizers.BertNormalizer(clean_text=False)),
        ("pre_tokenizer", pre_tokenizers.Metaspace()),
    ):
        changed = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
        setattr(changed, part, other)
        assert not reads_by_words(changed)
        text = "the cat sat on the mat"
        ids = changed.encode(text, add_special_tokens=False).ids
        assert encoder(changed, "H")([text]) == [array("H", ids).tobytes()]
    spaced = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    spaced.add_tokens([AddedToken("New York")])
    assert not reads_by_words(spaced)


# How the end of a sentence was first written down: slower, since it may begin with white space.
OLD = re.compile(
    r"[.!?][\"'”’)\]]*\s+(?=[^\Wa-z_]|[\"'“‘(\[])|(?<!\s)\s*\n\s*|[。！？]+[”’」』）]*"
)


@given(st.text(st.sampled_from("aB1.!?\"')] \n\t。！”」_É"), max_size=40))
@example("\n a.\n\nB")
def test_sentences_end_where_the_plainer_rule_says(text: str) -> None:
    assert list(sentence_ends(text)) == [match.end() for match in OLD.finditer(text)]
