"""Mining from a small index: against brute force, read back, and the same bytes again."""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import cloze
import training.mining.mining
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from search.index import Index
from search.reranking.crossencoder import CrossEncoder
from tests.training.mining.brute_mining import BruteMiner, candidate, same, words
from training.mining.asking import Asking
from training.mining.mined import Mined
from training.mining.mining import mine
from training.mining.plan import Margin, Plan
from training.pairs.example import Example
from training.pairs.reading import read_pairs
from training.supervision.pseudo_labels import reranker_scores
from training.text import Advance

RANKS = (2, 40)


@contextmanager
def quiet(phase: str, unit: str) -> Iterator[Advance]:
    yield lambda done, share: None


@pytest.fixture(scope="module")
def folder(
    tiny_model: Path, documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("mined") / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        # It holds what two others hold, and scores as neither does.
        text = f"{documents[60].text} {documents[61].text}"
        index.add([*documents, Document(id="both", text=text)])
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with Index.open(folder) as opened:
        yield opened


class WordCounter(CrossEncoder):
    """A cross-encoder whose model counts the words that query and passage share."""

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.calls += 1
        shared = [len({*words(query)} & {*words(text)}) for query, text in pairs]
        return np.array(shared, dtype=np.float32)


@pytest.fixture
def reranker(monkeypatch: pytest.MonkeyPatch) -> WordCounter:
    """What any name of a reranker opens."""
    model = WordCounter()
    monkeypatch.setattr("search.reranking.opening.open_reranker", lambda name, index: model)
    return model


@pytest.fixture(scope="module")
def examples(documents: list[Document]) -> list[Example]:
    """Queries whose positives are documents, parts of them, several, or in no document."""
    found = []
    for number in (0, 4, 5, 9, 12, 13, 17, 23, 27, 41):
        document = documents[number]
        text = document.text.split(". ")[0] if number % 2 else document.text
        found.append(
            Example(
                query=" ".join(document.text.split()[1:4]),
                positives=(f"{document.title} {text}".strip(),),
            )
        )
    several = Example(
        query="a lazy bear by the wall", positives=(documents[19].text, documents[60].text)
    )
    absent = Example(query="the large river", positives=("no such words are anywhere in here",))
    equals = Example(query="quiet garden wall", positives=(documents[60].text,))
    # Four documents are the query itself.
    echo = Example(query=documents[20].text, positives=(documents[61].text,))
    return [*found, equals, echo, several, absent]


def run(
    index: Index, examples: Sequence[Example], plan: Plan, out: Path
) -> tuple[Mined, list[dict[str, object]]]:
    mined = mine(index, examples, plan, out, quiet)
    return mined, [json.loads(line) for line in out.read_text().splitlines()]


@pytest.mark.parametrize(
    "plan",
    [
        Plan(mode="lexical", ranks=RANKS),
        Plan(mode="dense", ranks=RANKS, negatives=3, scores=(0.1, 0.7)),
        Plan(mode="hybrid", ranks=(1, 30), margin=Margin(amount=0.3, relative=True)),
        Plan(mode="lexical", ranks=(1, 12), negatives=12, margin=Margin(amount=0.5)),
        Plan(mode="hybrid", ranks=(1, 160), negatives=60),
    ],
    ids=["lexical", "dense", "hybrid", "margin", "deep"],
)
def test_negatives_are_what_brute_force_finds(
    index: Index, examples: list[Example], plan: Plan, tmp_path: Path
) -> None:
    mined, lines = run(index, examples, plan, tmp_path / "out.jsonl")
    brute = BruteMiner(index, plan)
    wanted = [brute.negatives(each) for each in examples]
    assert [line["query"] for line in lines] == [each.query for each in examples]
    assert [line["positives"] for line in lines] == [list(each.positives) for each in examples]
    assert [line["negatives"] for line in lines] == [
        [text for text, _ in found] for found in wanted
    ]
    assert {rule: count for rule, count in mined.removed.items() if count} == dict(brute.removed)
    assert list(mined.ranked.negatives) == [score for found in wanted for _, score in found]
    assert mined.fewer == sum(len(found) < plan.negatives for found in wanted)
    assert mined.none == sum(not found for found in wanted)


def test_the_rules_have_something_to_remove(
    index: Index, examples: list[Example], tmp_path: Path
) -> None:
    """Else the comparison with brute force would say little."""
    plan = Plan(mode="hybrid", ranks=(1, 160), negatives=60, margin=Margin(amount=0.05))
    mined, _ = run(index, examples, replace(plan, scores=(0.02, 1.0)), tmp_path / "out.jsonl")
    assert all(mined.removed[rule] for rule in ("positive", "scores", "margin"))
    echo = examples[-3]
    mined, (line,) = run(index, [echo], Plan(mode="lexical", ranks=(1, 50)), tmp_path / "echo")
    assert echo.query not in str(line["negatives"])
    assert mined.removed["positive"] >= 4
    plan = Plan(mode="lexical", ranks=(1, 100), negatives=60)
    mined, _ = run(index, examples, plan, tmp_path / "out.jsonl")
    assert mined.removed["duplicate"]


def test_no_negative_holds_a_positive_or_comes_twice(
    index: Index, examples: list[Example], tmp_path: Path
) -> None:
    for mode in ("lexical", "dense", "hybrid"):
        plan = Plan(mode=mode, ranks=(1, 100), negatives=20)
        _, lines = run(index, examples, plan, tmp_path / "out.jsonl")
        for line, example in zip(lines, examples, strict=True):
            negatives = line["negatives"]
            assert isinstance(negatives, list)
            texts = [same(each) for each in negatives]
            assert len(set(texts)) == len(texts)
            assert not any(same(each) in text for each in example.positives for text in texts)


def test_positives_are_scored_by_their_documents(
    index: Index, examples: list[Example], documents: list[Document], tmp_path: Path
) -> None:
    # The last one has no word of its query, so that no ranking reaches it.
    examples = [*examples, Example(query="用水", positives=(documents[24].text,))]
    plan = Plan(mode="lexical", ranks=RANKS)
    mined, _ = run(index, examples, plan, tmp_path / "out.jsonl")
    brute = BruteMiner(index, plan)
    scores = [brute.positive_score(e.query, text) for e in examples for text in e.positives]
    assert list(mined.ranked.positives) == [
        score for score in scores if score is not None and math.isfinite(score)
    ]
    assert mined.positives == len(scores) == 16
    assert mined.absent == scores.count(None) == 1
    assert mined.beyond == scores.count(-math.inf) > 0


def test_dense_mining_encodes_positives_that_the_index_lacks(
    index: Index, examples: list[Example], tmp_path: Path
) -> None:
    absent = examples[-1]
    mined, _ = run(index, [absent], Plan(mode="dense"), tmp_path / "out.jsonl")
    query = index.encoder.encode_queries([absent.query])[0]
    positive = index.encoder.encode_documents(list(absent.positives))[0]
    assert mined.encoded == 1
    assert mined.absent == 0
    (score,) = mined.ranked.positives
    assert score == pytest.approx(float(query @ positive.astype(np.float16)), abs=1e-5)


def test_a_positive_beyond_the_ranking_leaves_no_candidate_below_it(
    index: Index, documents: list[Document], tmp_path: Path
) -> None:
    text = documents[24].text
    query = next(w for w in ("light", "moon", "king") if w not in text.lower().split())
    example = Example(query=query, positives=(text,))
    plan = Plan(mode="lexical", ranks=(1, 50), negatives=2)
    mined, (line,) = run(index, [example], plan, tmp_path / "out.jsonl")
    assert mined.beyond == 1
    assert line["negatives"]
    margin = replace(plan, margin=Margin(amount=0.0))
    mined, (line,) = run(index, [example], margin, tmp_path / "out.jsonl")
    assert line["negatives"] == []
    assert mined.removed["margin"] == mined.candidates > 0


def test_a_cross_encoder_removes_what_it_puts_near_the_positive(
    index: Index, examples: list[Example], reranker: WordCounter, tmp_path: Path
) -> None:
    base = Plan(mode="lexical", ranks=RANKS, negatives=39)
    _, unread = run(index, examples, base, tmp_path / "a.jsonl")
    plan = replace(base, negatives=5, rerank="counter", rerank_margin=Margin(amount=1), label=True)
    mined, lines = run(index, examples, plan, tmp_path / "b.jsonl")
    removed = 0
    for example, all_of_it, line in zip(examples, unread, lines, strict=True):
        asked = {*words(example.query)}
        most = min(len(asked & {*words(text)}) for text in example.positives) - 1
        taken: list[str] = []
        negatives = all_of_it["negatives"]
        assert isinstance(negatives, list)
        for text in negatives:
            if len(taken) < 5:
                far = len(asked & {*words(text)}) <= most
                taken += [text] if far else []
                removed += not far
        assert line["negatives"] == taken
        texts = (*example.positives, *taken)
        assert line["scores"] == [len(asked & {*words(text)}) for text in texts]
    # Each round offers as many as are missing, so none behind the last one taken is read.
    assert mined.removed["reranker"] == removed > 0
    assert len(mined.reranked.negatives) == mined.negatives > 0
    # One call for all positives, then one a round.
    assert 2 <= reranker.calls <= 35


def test_a_cross_encoder_scores_many_queries_at_once_as_one_by_one() -> None:
    model = WordCounter()
    asked = [("a red fox", ["the fox", "", "a red fox"]), ("none", []), ("sea", ["sea"])]
    assert reranker_scores(model, asked) == [[1, 0, 3], [], [1]]
    assert model.calls == 1
    for query, texts in asked:
        alone = model.score(query, [candidate(text) for text in texts])
        assert reranker_scores(model, [(query, texts)]) == [[each.score for each in alone]]


def test_labels_without_a_reranker_are_the_scores_of_the_ranking(
    index: Index, examples: list[Example], tmp_path: Path
) -> None:
    plan = Plan(mode="hybrid", ranks=RANKS, label=True)
    mined, lines = run(index, examples, plan, tmp_path / "out.jsonl")
    assert mined.unlabelled == 1
    assert mined.written == len(lines) == len(examples) - 1
    scores = dict(BruteMiner(index, plan).rank(examples[0].query))
    (line, *_) = lines
    own = line["scores"]
    assert isinstance(own, list)
    assert own[0] == scores["d0"]
    assert own[1:] == sorted(own[1:], reverse=True)
    assert set(own[1:]) <= set(scores.values())


def test_late_interaction_labels_too(index: Index, examples: list[Example], tmp_path: Path) -> None:
    plan = Plan(mode="dense", ranks=RANKS, rerank="late", label=True)
    _, lines = run(index, examples[:3], plan, tmp_path / "out.jsonl")
    late = Asking(index, "dense", 1).reranker("late")
    for line in lines:
        query, positives, negatives = line["query"], line["positives"], line["negatives"]
        assert isinstance(query, str)
        assert isinstance(positives, list)
        assert isinstance(negatives, list)
        wanted = late.score(query, [candidate(text) for text in (*positives, *negatives)])
        assert line["scores"] == [each.score for each in wanted]


def test_random_sampling_goes_by_query_and_seed(
    index: Index, examples: list[Example], tmp_path: Path
) -> None:
    plan = Plan(mode="dense", ranks=RANKS, sampling="random", seed=1)
    _, lines = run(index, examples, plan, tmp_path / "a.jsonl")
    _, turned = run(index, examples[::-1], plan, tmp_path / "b.jsonl")
    assert lines == turned[::-1]
    _, other = run(index, examples, replace(plan, seed=2), tmp_path / "c.jsonl")
    assert lines != other
    _, whole = run(index, examples, replace(plan, negatives=39), tmp_path / "d.jsonl")
    for line, all_of_it in zip(lines, whole, strict=True):
        negatives, order = line["negatives"], all_of_it["negatives"]
        assert isinstance(negatives, list)
        assert isinstance(order, list)
        assert negatives == [text for text in order if text in negatives]  # by rank
        assert negatives != order[:4] or len(order) == 4


def test_the_bytes_depend_on_nothing_but_what_was_asked(
    index: Index, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(mode="hybrid", ranks=RANKS, label=True, margin=Margin(amount=0.01))
    first, again = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    mined, _ = run(index, examples, plan, first)
    monkeypatch.setattr(training.mining.mining, "_AT_ONCE", 3)
    monkeypatch.setattr("training.mining.asking._MOST_HELD", 500)
    few, _ = run(index, examples, plan, again)
    assert first.read_bytes() == again.read_bytes()
    assert mined.as_json() == few.as_json()


def test_the_table_counts_and_quartiles_are_numpys(
    index: Index, examples: list[Example], tmp_path: Path
) -> None:
    mined, lines = run(index, examples, Plan(mode="hybrid", label=True), tmp_path / "out.jsonl")
    positives: list[float] = []
    differences: list[float] = []
    for line in lines:
        scores, count = line["scores"], line["positives"]
        assert isinstance(scores, list)
        assert isinstance(count, list)
        positives += scores[: len(count)]
        differences += [min(scores[: len(count)]) - each for each in scores[len(count) :]]
    found = mined.as_json()["scores"]
    assert found["positives"] == {
        "count": len(positives), "mean": pytest.approx(np.mean(positives)),
        "p25": pytest.approx(np.quantile(positives, 0.25)),
        "p50": pytest.approx(np.median(positives)),
        "p75": pytest.approx(np.quantile(positives, 0.75)),
    }  # fmt: skip
    assert found["difference"]["mean"] == pytest.approx(np.mean(differences))
    assert found["difference"]["count"] == len(differences)
    told = "\n".join(mined.lines())
    assert f"{np.mean(positives):.4f}" in told
    assert "1 are left out" in told


def test_mined_pairs_are_read_back(index: Index, examples: list[Example], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    _, lines = run(index, examples, Plan(ranks=RANKS, label=True), out)
    for line, example in zip(lines, read_pairs([str(out)]).examples, strict=True):
        assert line == {
            "query": example.query, "positives": list(example.positives),
            "negatives": list(example.negatives), "scores": list(example.scores or ()),
        }  # fmt: skip


def test_a_lexical_index_is_mined_without_vectors(
    documents: list[Document], examples: list[Example], tmp_path: Path
) -> None:
    folder = tmp_path / "lexical"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add(documents)
        mined, lines = run(index, examples, Plan(ranks=(1, 20)), tmp_path / "out.jsonl")
        assert mined.mode == "lexical"
        assert sum(bool(line["negatives"]) for line in lines) > 8
        with pytest.raises(ClozeError, match="--lexical-only, asked for --mode dense"):
            run(index, examples, Plan(mode="dense"), tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()


def test_the_command(folder: Path, examples: list[Example], tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(
            json.dumps({"query": each.query, "positives": each.positives}) + "\n"
            for each in examples
        )
    )
    home = tmp_path / "index"
    shutil.copytree(folder, home)
    arguments = ["mine", str(home), str(pairs), "--ranks", "2,40", "--scores", ",0.9"]
    arguments += ["--margin", "5%", "--negatives", "3", "--threads", "1", "--out"]
    out, again = tmp_path / "out.jsonl", tmp_path / "again.jsonl"
    told = CliRunner().invoke(cloze.app, [*arguments, str(out)])
    assert told.exit_code == 0, told.output
    assert "scores of the hybrid ranking" in told.stdout
    found = json.loads(CliRunner().invoke(cloze.app, [*arguments, str(again), "--json"]).stdout)
    assert again.read_bytes() == out.read_bytes()
    assert found["queries"] == len(out.read_text().splitlines()) == len(examples)
    assert sum(found["removed"].values()) > 0
    assert "out.jsonl is there" in CliRunner().invoke(cloze.app, [*arguments, str(out)]).stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ranks", "5"], "--ranks is '5'"),
        (["--ranks", "a,b"], "--ranks is 'a,b'"),
        (["--scores", "1"], "--scores is '1'"),
        (["--scores", "nan,1"], "--scores is 'nan,1'"),
        (["--margin", "x"], "--margin is 'x'"),
    ],
)
def test_bad_options_are_one_line(
    folder: Path, options: list[str], message: str, tmp_path: Path
) -> None:
    arguments = ["mine", str(folder), "none.jsonl", "--out", str(tmp_path / "o"), *options]
    result = CliRunner().invoke(cloze.app, arguments)
    assert isinstance(result.exception, ClozeError)
    assert message in str(result.exception)
