"""The cross-encoder against sentence-transformers, and a score that depends on its pair alone."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import search.reranking.crossencoder
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.models import find_classifier
from indexer.runtime.precision import Precision, has
from search.index import Index
from search.reranking.crossencoder import CrossEncoder
from search.reranking.opening import open_reranker
from search.reranking.reranker import Candidate, CandidatePassage, Scored
from tests.indexer.classifiers import write_classifier

# What the forward pass may lose against float32: the correlation of the scores.
LEAST_CORRELATION = {"fp32": 0.999999, "bf16": 0.97, "int8": 0.9}
PAIRS = [
    ("the dog", "a cat in the sun"),
    ("", ""),
    ("🎉🎉", "🎉"),
    ("  \t", " \n "),
    ("", "light"),
    ("light", ""),
    ("用搜索引擎", "向量文本"),
    ("supersonic flow", "a boundary layer in supersonic flow, with heat " * 40),
    ("what did the bear see " * 20, "sea"),
    *(("a bird", f"{'water ' * length}end") for length in range(1, 60, 6)),
]


@pytest.fixture(scope="module")
def theirs(make_model: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - they ship no types
    """A cross-encoder of sentence-transformers with a prompt of its own, saved by it."""
    import sentence_transformers

    plain = write_classifier(make_model(7), tmp_path_factory.mktemp("plain"), seed=2)
    prompts = {"prompts": {"query": "find the "}, "default_prompt_name": "query"}
    model = sentence_transformers.CrossEncoder(str(plain), device="cpu", **prompts)
    return model


@pytest.fixture(scope="module")
def folder(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ANN401
    folder = tmp_path_factory.mktemp("saved")
    theirs.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def expected(theirs: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """Their logits of all pairs, each alone."""
    import torch

    logits = [theirs.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in PAIRS]
    return np.array(logits, dtype=np.float32)


@pytest.fixture(scope="module", params=["fp32", "bf16", "int8"])
def encoder(request: pytest.FixtureRequest, folder: Path) -> CrossEncoder:
    return CrossEncoder(find_classifier(str(folder)), precision=request.param)


@pytest.fixture(scope="module")
def exact(folder: Path) -> CrossEncoder:
    return CrossEncoder(find_classifier(str(folder)), precision="fp32")


def test_agrees_with_sentence_transformers(
    encoder: CrossEncoder, expected: NDArray[np.float32]
) -> None:
    scores = encoder.predict(PAIRS)
    assert scores.dtype == np.float32
    assert np.corrcoef(scores, expected)[0, 1] > LEAST_CORRELATION[encoder.precision]
    if encoder.precision == "fp32":
        assert np.abs(scores - expected).max() < 1e-4
    # The comparison can fail: other pairs score otherwise.
    assert np.corrcoef(np.roll(scores, 1), expected)[0, 1] < 0.8


WORDS = st.sampled_from(
    ["dog", "boundary", "layers", "用", "🎉", "x7", "The", "\n", "été", "[SEP]"]
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.lists(WORDS, max_size=60).map(" ".join),
)


@settings(max_examples=8)
@given(
    pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_a_score_depends_on_its_pair_alone(
    encoder: CrossEncoder, pairs: list[tuple[str, str]], order: random.Random
) -> None:
    alone = np.concatenate([encoder.predict([pair]) for pair in pairs])
    assert encoder.predict(pairs).tobytes() == alone.tobytes()
    places = list(range(len(pairs)))
    order.shuffle(places)
    shuffled = encoder.predict([pairs[place] for place in places])
    assert shuffled.tobytes() == alone[places].tobytes()
    assert np.isfinite(alone).all()


def test_threads_and_full_batches_change_no_bit(encoder: CrossEncoder) -> None:
    scores = encoder.predict(PAIRS)
    two = CrossEncoder(encoder.checkpoint, precision=encoder.precision, threads=2)
    assert two.predict(PAIRS).tobytes() == scores.tobytes()
    many = two.predict(PAIRS * 20)
    assert many.tobytes() == np.tile(scores, 20).tobytes()


def test_more_pairs_than_run_at_once(exact: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = exact.predict(PAIRS)
    monkeypatch.setattr(search.reranking.crossencoder, "_AT_ONCE", 4)
    assert exact.predict(PAIRS).tobytes() == scores.tobytes()
    assert exact.predict([]).shape == (0,)


def test_of_a_megabyte_the_first_tokens_count(exact: CrossEncoder) -> None:
    long, short = "sea " * 250_000, "sea " * 100
    scores = exact.predict([("dog", long), ("dog", short), ("dog", "sea")])
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.slow
def test_two_labels_and_no_token_types_in_openvino(
    make_model: Callable[[int], Path], tmp_path: Path
) -> None:
    from indexer.runtime.eager import EagerForward
    from indexer.runtime.model import read_tokenizer
    from indexer.runtime.pairs import PairTokenizer
    from indexer.runtime.rows import padded

    folder = write_classifier(make_model(7), tmp_path / "it", labels=2, family="distilbert")
    checkpoint = find_classifier(str(folder))
    rows = PairTokenizer(read_tokenizer(checkpoint), checkpoint.max_tokens, "it").rows(PAIRS)
    (expected,) = EagerForward(checkpoint, "cpu", "fp32", 1)(padded(rows, 64))
    scores = CrossEncoder(checkpoint, precision="fp32").predict(PAIRS)
    assert np.abs(scores - expected).max() < 1e-4


def candidate(number: int, *texts: str) -> Candidate:
    passages = [CandidatePassage(number=None, text=text, start=0, end=len(text)) for text in texts]
    return Candidate(number=number, title="", passages=tuple(passages))


def test_a_document_scores_as_its_best_passage(exact: CrossEncoder) -> None:
    texts = ["a cat in the sun", "supersonic flow", "the dog", "light " * 90, "用"]
    scores = dict(zip(texts, exact.predict([("a dog", text) for text in texts]), strict=True))
    ranked = sorted(texts, key=lambda text: scores[text])
    worst, *between, best = ranked
    found = exact.score(
        "a dog",
        [
            candidate(1, worst, best, *between),
            candidate(2),
            candidate(3, *between),
            candidate(4, worst),
            candidate(5, worst, best, best),
        ],
    )
    assert found == [
        Scored(score=float(scores[best]), passage=1),
        Scored(score=None),
        Scored(score=float(scores[between[-1]]), passage=len(between) - 1),
        Scored(score=float(scores[worst]), passage=0),
        Scored(score=float(scores[best]), passage=1),
    ]
    assert exact.score("a dog", []) == []
    assert exact.score("a dog", [candidate(1)]) == [Scored(score=None)]


def test_it_says_what_it_is(exact: CrossEncoder, folder: Path) -> None:
    assert (exact.name, exact.precision) == (str(folder), "fp32")
    assert exact.content_hash == find_classifier(str(folder)).content_hash


@pytest.fixture(scope="module")
def library(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    place = tmp_path_factory.mktemp("judged") / "index"
    with Index.open(place, Settings(model=str(tiny_model), passage_overlap=8)) as index:
        index.add(documents)
        yield index


def test_a_search_scores_what_predict_does_of_the_nearest_passages(
    library: Index, documents: list[Document], folder: Path
) -> None:
    query, texts = "the supersonic ship under water", {each.id: each for each in documents}
    hits = library.search(query, top=1000, passages=3, rerank=str(folder), rerank_depth=40).hits
    predict = CrossEncoder(find_classifier(str(folder))).predict
    scored = [hit for hit in hits if hit.stages["rerank"]]
    assert len(scored) == 40
    counts = set()
    for hit in scored:
        document = texts[hit.id]
        read = [
            f"{document.title} {document.text[each.start : each.end]}".strip()
            for each in hit.passages
        ]
        counts.add(len(read))
        place = hit.stages["rerank"]
        assert place is not None
        assert place.score == predict([(query, text) for text in read]).max()
    assert counts == {1, 2, 3}


def test_an_opened_one_runs_in_the_precision_that_agrees(
    library: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOZE_PRECISION")
    before = len(library.notices)
    reranker = open_reranker(str(folder), library)
    assert isinstance(reranker, CrossEncoder)
    coarser: tuple[Precision, ...] = ("int8", "bf16", "fp32")
    tried = [each for each in coarser if has(each, "cpu")]
    lost = library.notices[before:]
    assert reranker.precision == tried[len(lost)]
    for precision, line in zip(tried, lost, strict=False):
        assert f"{folder} loses too much in {precision} (correlation with fp32 " in line
    # What one of them costs is not measured again.
    monkeypatch.setattr(CrossEncoder, "predict", None)
    again = open_reranker(str(folder), library)
    assert again.precision == reranker.precision
    assert library.notices[before:] == [*lost, *lost]


def test_a_cross_encoder_that_is_cut_off_is_an_error(exact: CrossEncoder, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(exact.checkpoint.folder, folder)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ClozeError, match=r"can't be loaded as a cross-encoder \(\w+: .*\); fetch"):
        CrossEncoder(find_classifier(str(folder)), precision="fp32")


def test_the_command_line_says_what_is_wrong_in_one_line(
    cloze: Callable[..., Any], corpus_file: Path, make_model: Callable[[int], Path], tmp_path: Path
) -> None:
    assert cloze("index", tmp_path / "index", corpus_file, "--lexical-only").returncode == 0
    folder = make_model(9)
    for message in ("is a BertModel in its config.json", "has no tokenizer.json"):
        ended = cloze("search", tmp_path / "index", "dog", "--rerank", folder)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"cloze: {folder} {message}")
        assert ended.stderr.count("\n") == 1
        (folder / "tokenizer.json").unlink(missing_ok=True)
