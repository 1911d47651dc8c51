"""Embeddings and rankings: the encoder's own figures, whatever was run together."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.passages import cut
from indexer.runtime.rows import TokenRow
from search.hits import Request, Results
from search.reranking.crossencoder import CrossEncoder
from search.service.errors import LateError
from search.service.parts import parts
from search.service.service import Service
from tests.indexer.classifiers import write_classifier
from tests.search.service.holding import Serve, models_held, soon, until

TEXTS = ["a red ship", "", "the king", "snow on the mountain " * 40, "地水", "bear"]


@pytest.fixture(scope="module")
def opened(built: Path) -> Iterator[Index]:
    with Index.open(built, threads=2) as index:
        yield index


def test_texts_have_the_encoders_vectors_bit_for_bit(shared: Service, opened: Index) -> None:
    encoder = opened.encoder
    found = shared.embed(TEXTS, soon()).result(30)
    assert found.vectors.dtype == np.float32
    assert (found.vectors == encoder.encode_documents(TEXTS)).all()
    assert found.truncated == [3]  # 64 positions
    assert found.tokens == 5 + 2 + 4 + 64 + 4 + 3
    asked = shared.embed(TEXTS, soon(), queries=True).result(30)
    assert (asked.vectors == encoder.encode_queries(TEXTS)).all()
    assert shared.embed([], soon()).result(30).vectors.shape == (0, 64)


def test_token_lists_are_run_between_the_special_tokens(shared: Service, opened: Index) -> None:
    tokenizer = opened.encoder.tokenizer
    texts = ["a red ship", "", "snow on the mountain " * 40]
    lists = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    found = shared.embed(lists, soon()).result(30)
    assert (found.vectors == opened.encoder.encode_documents(texts)).all()
    assert (found.tokens, found.truncated) == (5 + 2 + 64, [2])
    size = tokenizer.get_vocab_size()
    for strange in (-1, size):
        with pytest.raises(
            ClozeError, match=f"input 1 has the token {strange}, .* 0 to {size - 1}"
        ):
            shared.embed([[5], [6, strange]], soon()).result(30)


def test_many_clients_have_the_vectors_that_each_would_have_alone(
    shared: Service, opened: Index
) -> None:
    inputs = [[f"text {n} {m} " * (1 + 7 * n % 11) for m in range(1 + n % 5)] for n in range(24)]
    with models_held(shared):
        futures = [shared.embed(each, soon()) for each in inputs]
    for texts, future in zip(inputs, futures, strict=True):
        assert (future.result(30).vectors == opened.encoder.encode_documents(texts)).all()


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def windows(index: Index, text: str) -> list[str]:
    (offsets,) = index.encoder.token_offsets([text])
    made = cut(
        Document(id="-", text=text), (), offsets, index.manifest.rule, index.encoder.added_tokens
    )
    return [passage.text for passage in made.passages] or [text]


LONG = "The king had a house. " * 20 + "A red ship was on the sea. " + "The wind was cold. " * 20


def test_without_a_cross_encoder_a_text_ranks_by_the_cosine_of_its_best_passage(
    shared: Service, opened: Index
) -> None:
    texts = [*TEXTS, LONG]
    found = shared.rank("a red ship", texts, soon()).result(30)
    query = opened.encoder.encode_queries(["a red ship"])[0]
    expected = [
        max(cosine(query, each) for each in opened.encoder.encode_documents(windows(opened, text)))
        for text in texts
    ]
    assert len(windows(opened, LONG)) > 5
    assert found.scores == pytest.approx(expected, abs=1e-12)
    assert found.model == "encoder"
    assert found.scores[0] == pytest.approx(1.0)
    counts = [len(each) for each in opened.encoder.token_offsets(texts)]
    assert found.tokens == 5 + sum(counts)
    assert shared.rank("a", [], soon()).result(30).scores == []
    alone = [shared.rank("a red ship", [text], soon()).result(30).scores[0] for text in texts]
    assert found.scores == alone


@pytest.fixture(scope="module")
def classifier(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tiny_model, tmp_path_factory.mktemp("cross-encoder"))


def test_a_cross_encoder_scores_the_best_window_and_reranks_searches(
    built: Path, classifier: Path, serve: Serve, opened: Index
) -> None:
    service = serve(built, rerank=str(classifier))
    texts = [*TEXTS, LONG]
    from search.engine import SearchEngine

    engine = SearchEngine(opened)
    model = engine.reranker(str(classifier))
    assert isinstance(model, CrossEncoder)
    expected = [
        float(model.predict([("a red ship", each) for each in windows(opened, text)]).max())
        for text in texts
    ]
    requests = [Request(query=f"red {n}", rerank=str(classifier), top=3) for n in range(4)]
    answers = engine.search_many(requests)
    engine.close()
    with ThreadPoolExecutor() as pool:
        rankings = pool.map(
            lambda _: service.rank("a red ship", texts, soon()).result(30), range(4)
        )
        searches = [service.search([request], soon()) for request in requests]
        for found in rankings:
            assert found.scores == expected
            assert found.model == "cross-encoder"
    for future, answer in zip(searches, answers, strict=True):
        (hits,) = future.result(30)
        assert isinstance(hits, Results)
        assert isinstance(answer, Results)
        assert hits.hits == answer.hits
    assert service.describe(soon()).result(30).rerankers == ("none", "cross-encoder")


def test_parts_are_of_so_many_tokens() -> None:
    items = [("a", 600), ("b", 400), ("c", 25), ("d", 3000), ("e", 1)]
    assert list(parts(items, "cpu")) == [
        (["a", "b"], 1000), (["c"], 25), (["d"], 3000), (["e"], 1)
    ]  # fmt: skip
    assert list(parts([], "cpu")) == []


class Runs:
    """The rows of each forward pass that the thread of texts asks for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        vectors = Encoder.vectors

        def run(encoder: Encoder, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
            self.sizes.append(len(rows))
            if any(len(row.ids) == 11 for row in rows):
                raise RuntimeError("no memory")
            return vectors(encoder, rows)

        monkeypatch.setattr(Encoder, "vectors", run)


def test_small_requests_share_a_pass_and_do_not_wait_for_a_large_one(
    built: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(built)
    runs = Runs(monkeypatch)
    order: list[str] = []
    with models_held(service):
        large = service.embed(["snow on the mountain " * 40] * 160, soon())  # ten parts of 16
        large.add_done_callback(lambda _: order.append("large"))
        until(lambda: runs.sizes == [16])
        small = [service.embed(["bear"], soon()) for _ in range(5)]
        for future in small:
            future.add_done_callback(lambda _: order.append("small"))
    large.result(30)
    assert order == ["small"] * 5 + ["large"]
    assert runs.sizes[1] == 5 + 16
    assert sum(runs.sizes) == 165


def test_a_request_that_cannot_be_run_fails_alone(
    built: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(built)
    Runs(monkeypatch)
    with models_held(service):
        first = service.embed(["king"], soon())
        until(lambda: not service._texts.waiting._jobs)
        good, bad = service.embed(["bear"], soon()), service.embed(["snow " * 9], soon())
    first.result(30)
    assert good.result(30).tokens == 3
    assert isinstance(bad.exception(30), RuntimeError)
    assert service.ready


def test_a_long_request_ends_when_its_time_is_over(
    built: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(built)
    runs = Runs(monkeypatch)
    with models_held(service):
        deadline = monotonic() + 1.0
        late = service.embed(["snow on the mountain " * 40] * 64, deadline)
        until(lambda: runs.sizes == [16])
        until(lambda: monotonic() > deadline)
    assert isinstance(late.exception(30), LateError)
    assert runs.sizes == [16]
