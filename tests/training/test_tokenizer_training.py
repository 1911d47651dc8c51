import json
import os
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from indexer.documents import Document
from indexer.errors import ClozeError
from training.alphabet import CharacterCounts, choose_alphabet
from training.held_out import text_hash
from training.text import Reading
from training.tokenizer import SPECIAL
from training.tokenizer_folder import Made, make_tokenizer
from training.tokenizer_measures import measure

Make = Callable[..., Made]


@pytest.fixture
def make(corpus_file: Path, tmp_path: Path) -> Make:
    """Make a tokenizer in a folder of this test."""

    def call(
        vocabulary: int = 400, name: str = "made", *, text: Path = corpus_file, cased: bool = False
    ) -> Made:
        made, _ = make_tokenizer(
            [str(text)],
            vocabulary,
            tmp_path / name,
            cased=cased,
            reading=Reading(),
            progress=lambda done, share: None,
        )
        return made

    return call


def pieces(folder: Path) -> list[str]:
    return (folder / "vocab.txt").read_text().splitlines()


def write_lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_the_same_text_gives_the_same_files_in_any_process(
    cloze: Callable[..., Any], corpus_file: Path, tmp_path: Path
) -> None:
    made = []
    for number in range(3):
        out = tmp_path / str(number)
        environment = os.environ | {"PYTHONHASHSEED": str(number)}
        options = ["--vocab", 500, "--out", out, "--threads", 1 + number, "--json"]
        ran = cloze("train", "tokenizer", corpus_file, *options, env=environment)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["vocabulary"] == 500
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert made[0] == made[1] == made[2]


def learned_slowly(texts: list[str], size: int) -> list[str]:
    """Learn pieces of lower-case words in plain Python: merge the pair that is most frequent.

    Of equally frequent ones the first by the numbers of its pieces: special, inner, first letters,
    then merged ones.
    """
    words = Counter(word for text in texts for word in text.split())
    letters = sorted({letter for word in words for letter in word})
    numbered = [*SPECIAL, *(f"##{letter}" for letter in letters), *letters]
    split = {word: [word[0], *(f"##{letter}" for letter in word[1:])] for word in words}
    while len(numbered) < size:
        pairs: Counter[tuple[int, int]] = Counter()
        for word, count in words.items():
            for first, second in pairwise(split[word]):
                pairs[numbered.index(first), numbered.index(second)] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        left, right = (numbered[number] for number in best)
        numbered.append(left + right.removeprefix("##"))
        for parts in split.values():
            at = 0
            while at < len(parts) - 1:
                if (parts[at], parts[at + 1]) == (left, right):
                    parts[at : at + 2] = [numbered[-1]]
                at += 1
    inner = [f"##{letter}" for letter in letters]
    return [*SPECIAL, *letters, *inner, *numbered[len(SPECIAL) + 2 * len(letters) :]]


def test_the_vocabulary_is_what_merging_by_hand_gives(
    make: Make, documents: list[Document], tmp_path: Path
) -> None:
    texts = [
        "".join(each if each.isalpha() and each.isascii() else " " for each in document.text)
        for document in documents
    ]
    filled = [text for text in texts if text.strip()]
    least = min(map(text_hash, filled))
    seen = [text.lower() for text in filled if text_hash(text) >= max(2**64 // 100, least + 1)]
    made = make(150, text=write_lines(tmp_path / "words.jsonl", texts))
    assert made.measures.texts == len(filled) - len(seen) > 0
    assert pieces(tmp_path / "made") == learned_slowly(seen, 150)


def test_transformers_reads_it_as_its_own(make: Make, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertTokenizer

    make()
    folder = tmp_path / "made"
    ours = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = AutoTokenizer.from_pretrained(folder)
    assert isinstance(found, BertTokenizer)
    assert found.is_fast
    assert (found.model_max_length, len(found)) == (512, 400)
    assert found.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3, 4]
    assert [found.pad_token, found.unk_token, found.mask_token] == ["[PAD]", "[UNK]", "[MASK]"]
    # Built anew by transformers from the pieces alone.
    rebuilt = BertTokenizer(vocab={piece: n for n, piece in enumerate(pieces(folder))})
    for text in ("The Sea, a big wéb!", "水火 fast", "the [MASK] ran", "", "€ \u200b no\tway"):
        ids = ours.encode(text, "two words").ids
        assert found(text, "two words")["input_ids"] == ids
        assert rebuilt(text, "two words")["input_ids"] == ids
        assert found.decode(ids) == ours.decode(ids, skip_special_tokens=False)
    both = found("big", "sea")
    assert both["token_type_ids"][-1] == 1
    assert both["input_ids"][0] == 2


def test_the_indexer_reads_it(make: Make, tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel

    from indexer.models import find_model
    from indexer.runtime.model import read_tokenizer

    make()
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=400,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
        )
    ).save_pretrained(tmp_path / "made")
    checkpoint = find_model(str(tmp_path / "made"))
    assert checkpoint.max_tokens == 512
    assert read_tokenizer(checkpoint).encode("the sea").ids[0] == 2


def test_case_and_accents_are_kept_where_asked(make: Make, tmp_path: Path) -> None:
    text = write_lines(tmp_path / "cases.jsonl", ["Été ÉTÉ été Paris paris", "Été Paris"] * 50)
    make(60, "cased", text=text, cased=True)
    make(60, "uncased", text=text)
    cased = Tokenizer.from_file(str(tmp_path / "cased" / "tokenizer.json"))
    uncased = Tokenizer.from_file(str(tmp_path / "uncased" / "tokenizer.json"))
    assert cased.encode("Été été Paris").tokens[1:-1] == ["Été", "été", "Paris"]
    assert uncased.encode("Été été Paris").tokens[1:-1] == ["ete", "ete", "paris"]


def test_chinese_characters_are_pieces_of_their_own(make: Make, tmp_path: Path) -> None:
    make()
    assert "##水" not in pieces(tmp_path / "made")
    tokenizer = Tokenizer.from_file(str(tmp_path / "made" / "tokenizer.json"))
    assert tokenizer.encode("水火a").tokens[1:3] == ["水", "火"]


def test_a_text_too_short_gives_fewer_pieces(make: Make, tmp_path: Path) -> None:
    text = write_lines(tmp_path / "short.jsonl", ["aa bb aa", "bb aa", "aa bb"])
    made = make(30_522, text=text)
    # Two letters, as the first and inside, and the two words.
    assert pieces(tmp_path / "made") == [*SPECIAL, "a", "b", "##a", "##b", "aa", "bb"]
    assert (made.vocabulary, made.inputs.asked) == (11, 30_522)


def test_one_document_is_measured_on_itself(make: Make, tmp_path: Path) -> None:
    made = make(text=write_lines(tmp_path / "one.jsonl", ["aa bb aa bb aa."]))
    assert made.sample_seen
    assert made.measures.unknown_rate == 0


def test_words_of_what_is_held_out_are_not_learned(make: Make, tmp_path: Path) -> None:
    texts = [f"a plain text {number}" for number in range(500)]
    strange = (f"zyxw zyxw zyxw {number}" for number in range(10_000))
    texts += [text for text in strange if text_hash(text) < 2**64 // 100]
    assert len(texts) > 550
    made = make(100, text=write_lines(tmp_path / "mixed.jsonl", texts))
    assert "plain" in pieces(tmp_path / "made")
    assert not [piece for piece in pieces(tmp_path / "made") if "zy" in piece]
    assert made.measures.texts >= len(texts) - 500


def test_measures_by_hand(make: Make, tmp_path: Path) -> None:
    make(text=write_lines(tmp_path / "short.jsonl", ["aa bb aa", "bb aa", "aa bb"]))
    tokenizer = Tokenizer.from_file(str(tmp_path / "made" / "tokenizer.json"))
    # aa | bb | a ##b: four tokens of three words; then [UNK] | bb, and c doesn't come back.
    found = measure(tokenizer, ["AA bb  ab", "c bb"])
    assert (found.texts, found.tokens) == (2, 6)
    assert found.unknown_rate == pytest.approx(1 / 6)
    assert found.tokens_per_word == pytest.approx(6 / 5)
    assert found.round_trip == 0.5


def test_a_text_without_any_token_is_measured(make: Make, tmp_path: Path) -> None:
    make()
    found = measure(Tokenizer.from_file(str(tmp_path / "made" / "tokenizer.json")), ["\u200b"])
    assert (found.tokens, found.unknown_rate, found.tokens_per_word) == (0, 0, 0)


def test_the_alphabet_is_the_fewest_that_cover_nearly_all() -> None:
    assert choose_alphabet(Counter({"a": 50_000, "z": 49_990, "é": 10})) == ["a", "z", "é"]
    assert choose_alphabet(Counter({"a": 50_000, "z": 49_995, "é": 5})) == ["a", "z"]
    # Of two that are equally frequent the first by code point.
    assert choose_alphabet(Counter({"z": 10**6, "q": 40, "b": 40})) == ["b", "z"]
    assert choose_alphabet(Counter()) == []


def test_characters_are_counted_as_they_are_normalised(make: Make, tmp_path: Path) -> None:
    make()
    tokenizer = Tokenizer.from_file(str(tmp_path / "made" / "tokenizer.json"))
    counts = CharacterCounts()
    for text in ("Éa e\u0301\n", "", "水\U0001f41f"):
        counts.add(text)
    assert counts.normalised(tokenizer) == {"e": 2, "a": 1, "水": 1, "\U0001f41f": 1}


def test_a_finished_tokenizer_is_found_and_another_one_never_overwritten(
    cloze: Callable[..., Any], corpus_file: Path, tmp_path: Path, make: Make
) -> None:
    make()
    before = {path: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    command = ["train", "tokenizer", corpus_file, "--out", tmp_path / "made", "--vocab"]
    again = cloze(*command, 400)
    assert again.returncode == 0, again.stderr
    assert "holds it already: nothing was done" in again.stdout
    assert "vocabulary      400 of 400 asked for" in again.stdout
    other = cloze(*command, 401)
    assert other.returncode == 2
    [line] = other.stderr.splitlines()
    assert "400, uncased), and this one would be of" in line
    assert "401, uncased); give another --out" in line
    assert {path: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before


def test_what_is_no_tokenizer_is_never_overwritten(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(ClozeError, match=r"holds thesis\.txt, which is no tokenizer of cloze's"):
        make()
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ClozeError, match="which is no tokenizer of cloze's"):
        make(name="file")
    (tmp_path / "empty").mkdir()
    make(name="empty")
    assert len(pieces(tmp_path / "empty")) == 400


@pytest.mark.parametrize("texts", [[], ["", " "]])
def test_text_that_is_empty_is_refused(make: Make, tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(ClozeError, match=r"there is no text in .*empty\.jsonl"):
        make(text=write_lines(tmp_path / "empty.jsonl", texts))
    assert not (tmp_path / "made").exists()


def test_a_vocabulary_below_the_alphabet_is_refused_with_the_least(
    make: Make, tmp_path: Path
) -> None:
    text = write_lines(tmp_path / "short.jsonl", ["ab, ba", "ab", "ba, ba"])
    # Five special tokens; a, b and the comma; a and b inside words.
    with pytest.raises(ClozeError, match=r"a vocabulary of 9 is too small: .* are 10 pieces"):
        make(9, text=text)
    assert make(10, text=text).vocabulary == 10
