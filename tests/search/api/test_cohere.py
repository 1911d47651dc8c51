"""The real `cohere` clients against a running server: the library's own scores and their order."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cohere
import numpy as np
import pytest
from cohere.errors import NotFoundError, UnprocessableEntityError
from hypothesis import given
from hypothesis import strategies as st

from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.models import find_classifier
from indexer.passages import cut
from search.api.rerank import relevance
from search.index import Index
from search.reranking.crossencoder import CrossEncoder
from search.reranking.opening import open_reranker
from search.service.settings import Limits, ServiceSettings
from tests.indexer.classifiers import write_classifier
from tests.search.api.serving import prompted, serving

QUERY = "a bird over the sea"
TEXTS = [
    "the wind rose", "a bird in the sky", "", "用搜索引擎", "a bird in the sky",
    "the sea " * 60, "laminar flow of a boundary layer",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(
    documents: list[Document], other_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return prompted(documents, other_model, tmp_path_factory.mktemp("cohere") / "index")


@pytest.fixture(scope="module")
def classifier(make_model: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(make_model(7), tmp_path_factory.mktemp("judge"), seed=2)


@pytest.fixture(scope="module")
def with_encoder(folder: Path) -> Iterator[str]:
    with serving(folder, ServiceSettings(limits=Limits(texts=100, text=1_000))) as address:
        yield address


@pytest.fixture(scope="module")
def with_cross_encoder(folder: Path, classifier: Path) -> Iterator[str]:
    with serving(folder, ServiceSettings(rerank=str(classifier))) as address:
        yield address


def second(address: str) -> cohere.ClientV2:
    # Without configured keys the server reads none.
    return cohere.ClientV2("any", base_url=address, max_retries=0)


def first(address: str) -> cohere.Client:
    return cohere.Client("any", base_url=address, max_retries=0)


def post(address: str, body: object) -> Any:  # noqa: ANN401 - JSON
    request = urllib.request.Request(
        f"{address}/v1/rerank", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def ranked(scores: list[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda place: (-scores[place], place))


def windows(index: Index, text: str) -> list[str]:
    """What an index would make passages of; a text without words is one."""
    encoder = index.encoder
    document = Document(id="any", text=text)
    offsets = encoder.token_offsets([text])[0]
    found = cut(document, (), offsets, index.manifest.rule, encoder.added_tokens)
    return [each.text for each in found.passages] or [text]


@pytest.fixture(scope="module")
def logits(folder: Path, classifier: Path) -> list[float]:
    """The library's own score of each text, the best of its windows."""
    with Index.open(folder) as index:
        reranker = open_reranker(str(classifier), index)
        assert isinstance(reranker, CrossEncoder)
        assert len(windows(index, TEXTS[5])) > 1
        return [
            max(reranker.predict([(QUERY, part) for part in windows(index, text)]).tolist())
            for text in TEXTS
        ]


@pytest.fixture(scope="module")
def cosines(folder: Path) -> list[float]:
    """Cosines in float64 from the library's own vectors of the query and of the windows."""
    with Index.open(folder) as index:
        encoder: Encoder = index.encoder
        query = encoder.encode_queries([QUERY])[0].astype(np.float64)
        found = []
        for text in TEXTS:
            vectors = encoder.encode_documents(windows(index, text)).astype(np.float64)
            lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
            found.append(float((vectors @ query / lengths).max()))
    return found


def test_a_cross_encoder_ranks_by_the_sigmoid_of_its_logit(
    with_cross_encoder: str, logits: list[float], classifier: Path
) -> None:
    answer = second(with_cross_encoder).rerank(model="default", query=QUERY, documents=TEXTS)
    assert [each.index for each in answer.results] == ranked(logits)
    expected = [float(1 / (1 + np.exp(-np.longdouble(logits[p])))) for p in ranked(logits)]
    assert [each.relevance_score for each in answer.results] == pytest.approx(expected, abs=1e-15)
    assert len({logits[1], logits[4]}) == 1  # equal texts, of which the first comes first
    raw = post(with_cross_encoder, {"query": QUERY, "documents": TEXTS, "raw_scores": True})
    assert [each["raw_score"] for each in raw["results"]] == [logits[p] for p in ranked(logits)]
    assert raw["model"] == classifier.name


def test_tokens_of_the_query_and_the_texts_are_counted(
    with_cross_encoder: str, folder: Path
) -> None:
    with Index.open(folder) as index:
        encoder = index.encoder
    query = encoder.tokenizer.encode(encoder.checkpoint.query_prompt + QUERY)
    texts = encoder.tokenizer.encode_batch(TEXTS, add_special_tokens=False)
    expected = len(query.ids) + sum(len(each.ids) for each in texts)
    answer = second(with_cross_encoder).rerank(model="default", query=QUERY, documents=TEXTS)
    assert answer.meta is not None and answer.meta.tokens is not None
    assert answer.meta.tokens.input_tokens == expected
    assert answer.model_extra is not None
    assert answer.model_extra["usage"] == {"prompt_tokens": expected, "total_tokens": expected}


def test_without_one_the_encoders_cosine_ranks(
    with_encoder: str, cosines: list[float], folder: Path, other_model: Path
) -> None:
    answer = post(with_encoder, {"query": QUERY, "texts": TEXTS, "raw_scores": True})
    found = {each["index"]: each["raw_score"] for each in answer["results"]}
    assert [found[place] for place in range(len(TEXTS))] == pytest.approx(cosines, abs=1e-6)
    assert [each["index"] for each in answer["results"]] == ranked(
        [found[place] for place in range(len(TEXTS))]
    )
    for each in answer["results"]:
        assert each["relevance_score"] == (1 + each["raw_score"]) / 2
    assert answer["model"] == other_model.name


@pytest.mark.parametrize("version", [1, 2])
def test_both_clients_read_the_best(
    with_cross_encoder: str, logits: list[float], version: int, classifier: Path
) -> None:
    client = first(with_cross_encoder) if version == 1 else second(with_cross_encoder)
    answer = client.rerank(model=classifier.name, query=QUERY, documents=TEXTS, top_n=2)
    assert [each.index for each in answer.results] == ranked(logits)[:2]
    assert answer.id
    assert answer.meta is not None and answer.meta.api_version is not None
    assert answer.meta.api_version.version == str(version)


def test_a_model_may_be_left_out_and_top_n_be_more_than_there_is(with_encoder: str) -> None:
    answer = first(with_encoder).rerank(query=QUERY, documents=TEXTS[:2], top_n=50)
    assert len(answer.results) == 2
    same = second(with_encoder).rerank(
        model="default", query=QUERY, documents=TEXTS[:2], max_tokens_per_doc=100, priority=3
    )
    assert [each.relevance_score for each in same.results] == [
        each.relevance_score for each in answer.results
    ]


def test_objects_come_back_as_they_were_sent(with_encoder: str) -> None:
    documents: list[Any] = [{"text": text, "title": f"t{n}"} for n, text in enumerate(TEXTS)]
    answer = first(with_encoder).rerank(query=QUERY, documents=documents, return_documents=True)
    plain = first(with_encoder).rerank(query=QUERY, documents=TEXTS, return_documents=True)
    assert [each.index for each in answer.results] == [each.index for each in plain.results]
    for of_object, of_text in zip(answer.results, plain.results, strict=True):
        assert of_object.document is not None and of_text.document is not None
        assert of_object.document.model_dump() == documents[of_object.index]
        assert of_text.document.model_dump() == {"text": TEXTS[of_text.index]}
    assert first(with_encoder).rerank(query=QUERY, documents=TEXTS).results[0].document is None


def test_fields_are_ranked_in_the_order_that_is_asked_for(with_encoder: str) -> None:
    documents: list[Any] = [
        {"title": "a bird", "text": "the wind rose", "year": 1962},
        {"text": "a bird in the sky", "author": "Ann"},
        "the sea",
    ]
    client = first(with_encoder)
    answer = client.rerank(
        query=QUERY, documents=documents, rank_fields=["text", "title"], return_documents=True
    )
    joined = ["the wind rose\na bird", "a bird in the sky", "the sea"]
    plain = client.rerank(query=QUERY, documents=joined)
    assert [(each.index, each.relevance_score) for each in answer.results] == [
        (each.index, each.relevance_score) for each in plain.results
    ]
    other = client.rerank(query=QUERY, documents=documents[:1], rank_fields=["title", "text"])
    turned = client.rerank(query=QUERY, documents=["a bird\nthe wind rose"])
    assert other.results[0].relevance_score == turned.results[0].relevance_score
    told = post(with_encoder, {"query": QUERY, "documents": [documents[0]],
                               "rank_fields": ["title"], "return_documents": True})  # fmt: skip
    assert told["results"][0]["document"] == documents[0]


def test_what_is_null_was_not_sent(with_encoder: str) -> None:
    texts = ["a bird", "the sea"]
    plain = post(with_encoder, {"query": QUERY, "texts": texts})
    for body in ({"documents": None, "texts": texts}, {"documents": texts, "texts": None}):
        assert post(with_encoder, {"query": QUERY, **body})["results"] == plain["results"]


def test_a_score_does_not_depend_on_the_texts_beside_it(with_cross_encoder: str) -> None:
    together = post(with_cross_encoder, {"query": QUERY, "documents": TEXTS})["results"]
    for each in together:
        alone = post(with_cross_encoder, {"query": QUERY, "documents": [TEXTS[each["index"]]]})
        assert alone["results"][0]["relevance_score"] == each["relevance_score"]


def test_no_other_model_is_loaded(
    with_cross_encoder: str, with_encoder: str, classifier: Path, other_model: Path
) -> None:
    for address, served, wrong in (
        (with_cross_encoder, classifier.name, "rerank-v3.5"),
        (with_cross_encoder, classifier.name, str(classifier)),
        (with_cross_encoder, classifier.name, other_model.name),  # it is there for embeddings
        (with_encoder, other_model.name, classifier.name),
    ):
        with pytest.raises(NotFoundError) as error:
            second(address).rerank(model=wrong, query=QUERY, documents=TEXTS)
        told = error.value.body["error"]
        assert (told["code"], told["param"]) == ("model_not_found", "model")
        assert served in told["message"]


@pytest.mark.parametrize(
    ("body", "told", "param"),
    [
        ({"query": "q"}, "documents is missing", "documents"),
        ({"documents": ["a"]}, "query is missing", "query"),
        ({"query": "q", "documents": []}, "documents is empty", "documents"),
        ({"query": "q", "texts": "a"}, "texts is 'a'; it must be a list of texts", "texts"),
        (
            {"query": "q", "documents": ["a", None]},
            "documents[1] is null; it must be a text",
            "documents[1]",
        ),
        ({"query": "q", "texts": [{"title": "a"}]}, "texts[0].text is missing", "texts[0].text"),
        (
            {"query": "q", "texts": [{"text": 3}]},
            "texts[0].text is 3; it must be a text",
            "texts[0].text",
        ),
        ({"query": "q", "documents": ["a"], "texts": ["a"]}, "both documents and texts", "texts"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n is 0; it must be 1 or", "top_n"),
        (
            {"query": "q", "documents": ["a"] * 101},
            "documents has 101 texts; at most 100 (--max-texts)",
            "documents",
        ),
        (
            {"query": "q" * 8_193, "documents": ["a"]},
            "query has 8,193 characters; at most 8,192 (--max-query)",
            "query",
        ),
        (
            {"query": "q", "documents": ["a", "b" * 1_001]},
            "documents[1] has 1,001 characters; at most 1,000 (--max-text)",
            "documents[1]",
        ),
        ({"query": "q", "docs": ["a"]}, "did you mean documents?", "docs"),
        ({"query": "q", "documents": None}, "documents is missing", "documents"),
        ({"query": "q", "documents": None, "texts": None}, "documents is missing", "documents"),
        (
            {"query": "q", "documents": ["a", {"text": "a"}], "rank_fields": ["title"]},
            "documents[1] has none of rank_fields",
            "documents[1]",
        ),
        (
            {"query": "q", "documents": [{"text": "a", "n": 5}], "rank_fields": ["text", "n"]},
            "documents[0].n is 5; it must be a text",
            "documents[0].n",
        ),
        (
            {"query": "q", "documents": ["a"], "rank_fields": []},
            "rank_fields is a list; it must be not empty",
            "rank_fields",
        ),
        (
            {"query": "q", "texts": [{"a": "b" * 600, "b": "b" * 600}], "rank_fields": ["a", "b"]},
            "texts[0] has 1,201 characters; at most 1,000 (--max-text)",
            "texts[0]",
        ),
    ],
)
def test_a_wrong_request_is_told_by_its_place(
    with_encoder: str, body: dict[str, Any], told: str, param: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        post(with_encoder, body)
    assert error.value.code == 422
    answer = json.load(error.value)["error"]
    assert told in answer["message"]
    assert answer["param"] == param


def test_the_client_raises_its_own_error(with_encoder: str) -> None:
    with pytest.raises(UnprocessableEntityError) as error:
        second(with_encoder).rerank(model="default", query=QUERY, documents=[])
    assert error.value.body["error"]["message"].startswith("documents is empty")


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from(["encoder", "cross-encoder"]))
def test_relevance_lies_in_0_to_1_and_rises_with_the_score(a: float, b: float, kind: str) -> None:
    low, high = sorted([a, b])
    assert 0 <= relevance(low, kind) <= relevance(high, kind) <= 1


def test_relevance_by_hand() -> None:
    assert relevance(0, "cross-encoder") == 0.5
    assert relevance(math.log(3), "cross-encoder") == pytest.approx(0.75)
    assert relevance(-math.log(3), "cross-encoder") == pytest.approx(0.25)
    assert relevance(0.5, "encoder") == 0.75
    assert relevance(1.0000001, "encoder") == 1


def test_the_classifiers_name_is_its_folders(classifier: Path) -> None:
    assert find_classifier(str(classifier)).name.rsplit("/", 1)[-1] == classifier.name
