"""The real `openai` client against a running server: the library's vectors, bit for bit."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from indexer.creation import Settings
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.models import find_model
from search.index import Index
from search.service.settings import Limits, ServiceSettings
from tests.search.api.serving import prompted, serving

TEXTS = ["a bird in the sky", "", "用搜索引擎", "the shock wave of a supersonic plane"]


@pytest.fixture(scope="module")
def folder(
    documents: list[Document], other_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return prompted(documents, other_model, tmp_path_factory.mktemp("openai") / "index")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder, ServiceSettings(limits=Limits(texts=100, text=1_000))) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[openai.OpenAI]:
    # Without configured keys the server reads none.
    with openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    with Index.open(folder) as index:
        return index.encoder


@pytest.fixture(scope="module")
def name(other_model: Path) -> str:
    return other_model.name


def vectors(answer: openai.types.CreateEmbeddingResponse) -> NDArray[np.float32]:
    assert [each.index for each in answer.data] == list(range(len(answer.data)))
    return np.array([each.embedding for each in answer.data], dtype=np.float32)


@pytest.mark.parametrize("format", ["float", "base64", openai.omit])
def test_texts_have_the_librarys_vectors(
    client: openai.OpenAI,
    encoder: Encoder,
    name: str,
    format: Literal["float", "base64"] | openai.Omit,
) -> None:
    answer = client.embeddings.create(input=TEXTS, model=name, encoding_format=format)
    if format == "base64":
        raw = [np.frombuffer(_decoded(each.embedding), "<f4") for each in answer.data]
        found = np.array(raw)
    else:
        found = vectors(answer)
    assert np.array_equal(found, encoder.encode_documents(TEXTS))
    assert answer.model == name
    assert answer.object == "list"


def _decoded(embedding: object) -> bytes:
    from base64 import b64decode

    assert isinstance(embedding, str)
    return b64decode(embedding)


def test_a_single_text_is_a_list_of_one(client: openai.OpenAI, encoder: Encoder) -> None:
    answer = client.embeddings.create(input=TEXTS[0], model="default", user="someone")
    assert np.array_equal(vectors(answer), encoder.encode_documents(TEXTS[:1]))


def test_queries_have_the_prompt_of_queries(client: openai.OpenAI, encoder: Encoder) -> None:
    extra = {"input_type": "query"}
    answer = client.embeddings.create(input=TEXTS, model="default", extra_body=extra)
    assert np.array_equal(vectors(answer), encoder.encode_queries(TEXTS))
    assert not np.array_equal(encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS))


def test_tokens_are_what_a_text_consists_of(client: openai.OpenAI, encoder: Encoder) -> None:
    prompt, tokenizer = encoder.checkpoint.document_prompt, encoder.tokenizer
    rows = [tokenizer.encode(prompt + text, add_special_tokens=False).ids for text in TEXTS]
    expected = encoder.encode_documents(TEXTS)
    answer = client.embeddings.create(input=rows, model="default")
    assert np.array_equal(vectors(answer), expected)
    alone = client.embeddings.create(input=rows[0], model="default")
    assert np.array_equal(vectors(alone), expected[:1])
    assert answer.usage.prompt_tokens == sum(len(row) + 2 for row in rows)  # [CLS] and [SEP]
    assert answer.usage.total_tokens == answer.usage.prompt_tokens


def test_tokens_are_counted_and_what_is_cut_is_told(
    client: openai.OpenAI, encoder: Encoder
) -> None:
    texts = ["a bird", "water " * 90, "the sea"]
    answer = client.embeddings.create(input=texts, model="default")
    prompt = encoder.checkpoint.document_prompt
    lengths = [len(encoder.tokenizer.encode(prompt + text).ids) for text in texts]
    assert lengths[1] > encoder.checkpoint.max_tokens
    assert answer.usage.prompt_tokens == lengths[0] + encoder.checkpoint.max_tokens + lengths[2]
    assert answer.model_extra == {"truncated": [1]}
    assert np.array_equal(vectors(answer), encoder.encode_documents(texts))


def test_the_models_own_dimension_may_be_said(client: openai.OpenAI, encoder: Encoder) -> None:
    answer = client.embeddings.create(input="sea", model="default", dimensions=64)
    assert np.array_equal(vectors(answer), encoder.encode_documents(["sea"]))
    with pytest.raises(openai.UnprocessableEntityError, match="not trained to be cut") as error:
        client.embeddings.create(input="sea", model="default", dimensions=32)
    assert error.value.param == "dimensions"


def test_models_are_listed_and_found_by_their_names(client: openai.OpenAI, name: str) -> None:
    assert [each.id for each in client.models.list()] == [name]
    assert client.models.retrieve(name) == client.models.retrieve("default")
    assert client.models.retrieve(name).object == "model"


@pytest.mark.parametrize("wrong", ["gpt-9", "org/gpt-9", "/etc/passwd", "../model", "默认"])
def test_no_other_model_is_loaded(client: openai.OpenAI, name: str, wrong: str) -> None:
    with pytest.raises(openai.NotFoundError, match=name) as error:
        client.embeddings.create(input="sea", model=wrong)
    assert error.value.code == "model_not_found"
    assert error.value.param == "model"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve(wrong)
    assert error.value.code == "model_not_found"


def test_a_path_is_no_models_name(client: openai.OpenAI, other_model: Path) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model") as error:
        client.embeddings.create(input="sea", model=str(other_model))
    assert error.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("wrong", "told", "param"),
    [
        ([], "input is empty", "input"),
        ([[]], "input[0] is empty", "input[0]"),
        (["sea", 1], "input[1] is 1; it must be a text", "input[1]"),
        ([1, "sea"], "input[1] is 'sea'; it must be a token id, 0 or more", "input[1]"),
        ([[1], [2, True]], "input[1][1] is true; it must be a token id, 0 or more", "input[1][1]"),
        ([[1], 2], "input[1] is 2; it must be a list of token ids", "input[1]"),
        ([-1], "input[0] is -1; it must be a token id, 0 or more", "input[0]"),
        (True, "input is true; it must be a text, a list of texts, or token ids", "input"),
        (None, "input is null; it must be a text, a list of texts, or token ids", "input"),
        ({"text": "sea"}, "input is an object; it must be", "input"),
        (["sea"] * 101, "input has 101 inputs; at most 100 (--max-texts)", "input"),
        ("s" * 1_001, "input[0] has 1,001 characters; at most 1,000 (--max-text)", "input[0]"),
        ([7] * 1_001, "input has 1,001 tokens; at most 1,000 (--max-text)", "input"),
    ],
)
def test_a_wrong_input_is_told_by_its_place(
    client: openai.OpenAI, wrong: object, told: str, param: str
) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as error:
        client.embeddings.create(input=wrong, model="default")  # type: ignore[arg-type]
    assert told in error.value.message
    assert error.value.param == param


def test_a_token_beyond_the_vocabulary_is_refused(client: openai.OpenAI, encoder: Encoder) -> None:
    size = encoder.tokenizer.get_vocab_size()
    client.embeddings.create(input=[size - 1], model="default")
    for token in (size, 2**31, 2**63 - 1):
        with pytest.raises(openai.UnprocessableEntityError) as error:
            client.embeddings.create(input=[token], model="default")
        assert f"token {token}, and the encoder has tokens 0 to {size - 1}" in error.value.message


def test_unknown_fields_are_refused_with_the_nearest(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="did you mean dimensions") as error:
        client.embeddings.create(input="sea", model="default", extra_body={"dimension": 64})
    assert error.value.code == "unknown_field"


def test_a_number_in_json_names_its_float32(address: str, encoder: Encoder) -> None:
    request = urllib.request.Request(
        f"{address}/v1/embeddings", b'{"input": "sea"}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        found = json.load(answer)["data"][0]["embedding"]
    assert found == [float(str(each)) for each in encoder.encode_documents(["sea"])[0]]


def test_without_an_encoder_there_is_no_model(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add([Document(id="d", text="sea")])
    with (
        serving(tmp_path / "index") as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as client,
    ):
        assert list(client.models.list()) == []
        with pytest.raises(openai.NotFoundError, match="--lexical-only") as error:
            client.embeddings.create(input="sea", model="default")
        assert error.value.code == "model_not_found"


def test_find_model_names_it_by_its_last_part(other_model: Path, name: str) -> None:
    assert find_model(str(other_model)).name.rsplit("/", 1)[-1] == name
