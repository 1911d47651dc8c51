"""How often what is chosen, beside Hugging Face's collator and SpanBERT's formula."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tests.conftest import WORDS
from training.masking import MASKINGS, Rates, Vocabulary
from training.masking.span import span_length

SIZE = 300
SPECIAL = 5
MASK = 4
# By hand: 0.2 x 0.8^(k - 1), k from 1 to 10, over their sum 1 - 0.8^10 = 0.8926.
LENGTHS = [0.2 * 0.8**k / 0.8926258176 for k in range(10)]
every_masking = pytest.mark.parametrize("name", ["token", "word", "span"])


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    ids = np.arange(SIZE)
    return Vocabulary(
        size=SIZE, pad=0, cls=2, sep=3, mask=MASK, special=ids < SPECIAL,
        starts_word=ids % 4 > 0, marks=ids < 0,
    )  # fmt: skip


def rows(vocabulary: Vocabulary, count: int, length: int) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return [rng.choice(vocabulary.ordinary, length) for _ in range(count)]


def mask_all(
    name: str, texts: list[NDArray[Any]], vocabulary: Vocabulary, rates: Rates
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Ids, inputs and labels of all texts, flat, one generator through."""
    rng = np.random.default_rng(1)
    found = [
        MASKINGS[name](ids, vocabulary.starts_word[ids], rng, vocabulary=vocabulary, rates=rates)
        for ids in texts
    ]
    inputs, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    return np.concatenate(texts), inputs, labels


def shares(
    ids: NDArray[Any], inputs: NDArray[Any], labels: NDArray[Any], mask: int
) -> NDArray[np.float64]:
    """The chosen of the tokens above 4; of the chosen those masked, replaced and kept."""
    asked = labels != -100
    masked, kept = inputs[asked] == mask, inputs[asked] == ids[asked]
    chosen = asked.sum() / (ids >= SPECIAL).sum()
    return np.array([chosen, masked.mean(), (~masked & ~kept).mean(), kept.mean()])


@every_masking
@pytest.mark.parametrize("chosen", [0.15, 0.3])
def test_the_rate_is_met_on_average(name: str, chosen: float, vocabulary: Vocabulary) -> None:
    texts = rows(vocabulary, 1500, 47)
    ids, _, labels = mask_all(name, texts, vocabulary, Rates(chosen=chosen))
    # A text's own share deviates by less than half a token of 47: 0.0003 on the mean of 1500.
    short = {"token": 0.0, "word": 0.0, "span": 0.002}[name]
    found = (labels != -100).sum() / len(ids)
    assert -0.0012 - short < found - chosen < 0.0012


@every_masking
def test_the_chosen_fare_as_the_rates_say(name: str, vocabulary: Vocabulary) -> None:
    texts = rows(vocabulary, 2500, 60)
    rates = Rates(masked=0.6, random=0.3)
    ids, inputs, labels = mask_all(name, texts, vocabulary, rates)
    chosen = int((labels != -100).sum())
    # A span's tokens share one draw, so that those draws are about a fifth of the tokens.
    draws = chosen / {"token": 1, "word": 1.7, "span": 8}[name]
    # A random token is the same one in one case of 295.
    expected = np.array([0.6, 0.3 * 294 / 295, 0.1 + 0.3 / 295])
    spread = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(shares(ids, inputs, labels, MASK)[1:] - expected) < 4 * spread).all()


def test_tokens_are_chosen_evenly(vocabulary: Vocabulary) -> None:
    ids = rows(vocabulary, 1, 40)[0]
    _, _, labels = mask_all("token", [ids] * 4000, vocabulary, Rates())
    assert chisquare((labels.reshape(4000, 40) != -100).sum(axis=0)).pvalue > 0.01


@every_masking
def test_random_tokens_are_drawn_evenly_from_the_ordinary_ones(
    name: str, vocabulary: Vocabulary
) -> None:
    rates = Rates(masked=0, random=1)
    _, inputs, labels = mask_all(name, rows(vocabulary, 1500, 60), vocabulary, rates)
    counts = np.bincount(inputs[labels != -100], minlength=SIZE)
    assert counts[:SPECIAL].sum() == 0
    assert counts[SPECIAL:].min() > 0
    assert chisquare(counts[SPECIAL:]).pvalue > 0.01


def test_lengths_of_spans_are_the_truncated_geometric() -> None:
    draws = np.random.default_rng(0).random(20_000)
    drawn = [span_length(draw) for draw in draws.tolist()]
    counts = np.bincount(drawn, minlength=11)
    assert (len(counts), counts[0]) == (11, 0)
    assert chisquare(counts[1:], np.array(LENGTHS) * 20_000).pvalue > 0.01
    assert np.mean(drawn) == pytest.approx(3.8, abs=0.06)


def spans_of(asked: NDArray[np.bool_]) -> NDArray[np.int64]:
    edges = np.flatnonzero(np.diff(asked.astype(int), prepend=0, append=0))
    return edges[1::2] - edges[::2]


def test_spans_found_in_a_text_are_as_long_as_those_drawn(vocabulary: Vocabulary) -> None:
    ids = np.full(20_000, 7)  # a word each
    texts = [ids] * 100
    _, _, labels = mask_all("span", texts, vocabulary, Rates(chosen=0.01))
    found = spans_of(labels != -100)
    counts = np.bincount(found, minlength=11)[1:11]
    assert chisquare(counts, np.array(LENGTHS) * counts.sum()).pvalue > 0.01


def test_at_the_usual_rate_spans_are_cut_little(vocabulary: Vocabulary) -> None:
    ids = np.full(510, 7)
    _, _, labels = mask_all("span", [ids] * 200, vocabulary, Rates())
    found = np.concatenate([spans_of(row) for row in (labels != -100).reshape(200, 510)])
    # Less than 3.8: the last span is cut, and a long one touches another more often.
    assert 3.4 < found.mean() < 3.8


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##ing", "##s"]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("name", ["token", "word"])
def test_hugging_face_chooses_as_often(name: str, tokenizer: Path) -> None:
    import torch
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    # In its whole words all tokens without a space between are one, so there is no punctuation;
    # and it masks every word that it chooses.
    whole = name == "word"
    rates = Rates(masked=1, random=0) if whole else Rates()
    rng = np.random.default_rng(0)
    words = [word + end for word in WORDS for end in ("", "", "ing")]
    texts = [" ".join(rng.choice(words, 70)) for _ in range(1000)]
    reader: Any = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer / "tokenizer.json"), pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", unk_token="[UNK]",
    )  # fmt: skip
    read = reader(texts, truncation=True, max_length=64, return_offsets_mapping=True)
    examples = [{key: read[key][row] for key in read} for row in range(1000)]
    collate: Any = DataCollatorForLanguageModeling(
        reader, mlm_probability=rates.chosen, whole_word_mask=whole,
        mask_replace_prob=rates.masked, random_replace_prob=rates.random,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = collate(examples)
    vocabulary = Vocabulary.of(tokenizer)
    texts_read = [np.array(ids) for ids in read["input_ids"]]
    ours = mask_all(name, texts_read, vocabulary, rates)
    inputs, labels = (theirs[key].numpy().ravel() for key in ("input_ids", "labels"))
    them = shares(np.concatenate(texts_read), inputs, labels, vocabulary.mask)
    # They draw for each of 62,000 tokens: a deviation is 0.0014 (words: 0.0017), then 0.004.
    near = np.array([0.006, 0.016, 0.013, 0.013])
    assert (np.abs(shares(*ours, vocabulary.mask) - them) < near).all()
