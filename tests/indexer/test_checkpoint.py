"""Checkpoint folders: what they say of themselves, and every reason to turn one down."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.checkpoint import Checkpoint, read_checkpoint
from indexer.runtime.eager import EagerForward
from indexer.runtime.rows import TokenRow, padded
from tests.indexer.least_folder import write, write_folder

BERT = {"model_type": "bert", "hidden_size": 32, "max_position_embeddings": 128}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The least that is a checkpoint; reading it opens no tensor."""
    return write_folder(tmp_path / "plain", BERT)


@pytest.fixture
def sentence_transformer(plain: Path) -> Callable[..., Path]:
    def make(*kinds: str, pooling: dict[str, object] | None = None) -> Path:
        modules = [
            {"type": f"sentence_transformers.models.{kind}", "path": "" if not n else f"{n}_{kind}"}
            for n, kind in enumerate(("Transformer", *kinds))
        ]
        write(plain / "modules.json", modules)
        if "Pooling" in kinds:
            write(plain / "1_Pooling" / "config.json", pooling)
        return plain

    return make


def read(folder: Path) -> Checkpoint:
    return read_checkpoint(folder, "the model")


def test_a_folder_without_modules_means_normalised_mean_pooling(plain: Path) -> None:
    checkpoint = read(plain)
    assert (checkpoint.pooling, checkpoint.normalize, checkpoint.dimension) == ("mean", True, 32)
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("", "")
    assert checkpoint.max_tokens == 128


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_modules_decide_pooling_and_normalisation(
    sentence_transformer: Callable[..., Path],
    config: dict[str, object],
    pooling: str,
    normalize: bool,
) -> None:
    kinds = ("Pooling", "Normalize") if normalize else ("Pooling",)
    checkpoint = read(sentence_transformer(*kinds, pooling=config))
    assert (checkpoint.pooling, checkpoint.normalize) == (pooling, normalize)


@pytest.mark.parametrize(
    "config", [{"pooling_mode": "lasttoken"}, {"pooling_mode": "mean", "include_prompt": False}]
)
def test_another_pooling_is_an_error(
    sentence_transformer: Callable[..., Path], config: dict[str, object]
) -> None:
    with pytest.raises(ClozeError, match=r"mean, cls, max"):
        read(sentence_transformer("Pooling", pooling=config))


def test_an_unknown_module_is_an_error(sentence_transformer: Callable[..., Path]) -> None:
    folder = sentence_transformer("Pooling", "Dense", pooling={"pooling_mode": "mean"})
    with pytest.raises(ClozeError, match=r"modules\.json lists the module Dense"):
        read(folder)


def test_prompts(plain: Path) -> None:
    write(
        plain / "config_sentence_transformers.json", {"prompts": {"query": "q: ", "passage": "p"}}
    )
    checkpoint = read(plain)
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("q: ", "p")


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, 128),
        ({"sentence_bert_config.json": {"max_seq_length": 100}}, 100),
        ({"sentence_bert_config.json": {"max_seq_length": None}}, 128),
        ({"sentence_bert_config.json": {"max_seq_length": 500}}, 128),
        ({"tokenizer_config.json": {"model_max_length": 64}}, 64),
        ({"tokenizer_config.json": {"model_max_length": 10**30}}, 128),
        ({"config.json": BERT | {"model_type": "roberta", "pad_token_id": 1}}, 126),
        ({"config.json": BERT | {"model_type": "xlm-roberta", "pad_token_id": 1}}, 126),
        ({"config.json": BERT | {"model_type": "mpnet", "pad_token_id": 1}}, 126),
        ({"config.json": BERT | {"pad_token_id": 1}}, 128),
    ],
)
def test_the_smallest_limit_counts(plain: Path, files: dict[str, object], limit: int) -> None:
    for name, content in files.items():
        write(plain / name, content)
    assert read(plain).max_tokens == limit


def test_what_decides_a_vector_changes_the_content_hash(plain: Path) -> None:
    hashes = [read(plain).content_hash]
    write(plain / "config_sentence_transformers.json", {"prompts": {"query": "find: "}})
    hashes.append(read(plain).content_hash)
    write(plain / "sentence_bert_config.json", {"max_seq_length": 77})
    hashes.append(read(plain).content_hash)
    write(plain / "tokenizer.json", {"other": 1})
    hashes.append(read(plain).content_hash)
    write(plain / "config.json", BERT | {"hidden_act": "relu"})
    hashes.append(read(plain).content_hash)
    (plain / "model.safetensors").write_bytes(b"others")
    hashes.append(read(plain).content_hash)
    assert len(set(hashes)) == len(hashes)


def test_the_content_hash_is_of_the_content_alone(plain: Path, tmp_path: Path) -> None:
    shutil.copytree(plain, tmp_path / "copy")
    write(tmp_path / "copy" / "README.md", "not the model")
    assert read(tmp_path / "copy").content_hash == read(plain).content_hash


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("tokenizer.json", r"has no tokenizer\.json"),
        ("model.safetensors", r"no weights"),
        ("config.json", r"config\.json is missing"),
    ],
)
def test_a_missing_file_is_named(plain: Path, missing: str, message: str) -> None:
    (plain / missing).unlink()
    with pytest.raises(ClozeError, match=message):
        read(plain)


def test_pickled_weights_are_turned_down(plain: Path) -> None:
    (plain / "model.safetensors").rename(plain / "pytorch_model.bin")
    with pytest.raises(ClozeError, match=r"only pytorch_model\.bin, a pickle.*safe_serialization"):
        read(plain)


def test_code_of_its_own_is_turned_down(plain: Path) -> None:
    write(plain / "config.json", BERT | {"auto_map": {"AutoModel": "model.Model"}})
    with pytest.raises(ClozeError, match=r"needs code of its own"):
        read(plain)


def test_broken_json_is_named(plain: Path) -> None:
    (plain / "config.json").write_text('{"hidden_size": ')
    with pytest.raises(ClozeError, match=r"config\.json is not JSON"):
        read(plain)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder"])
def test_an_unknown_folder_is_an_error(name: str) -> None:
    with pytest.raises(ClozeError, match=f"there is no folder {name}"):
        find_model(name)


@pytest.mark.parametrize("name", ["nobody/nothing-at-all", "not a name//at all"])
def test_an_unknown_id_is_an_error_without_a_network(name: str) -> None:
    with pytest.raises(ClozeError, match=r"folder"):
        find_model(name)


def test_weights_that_are_cut_off_are_an_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(tiny_model, folder)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ClozeError, match=r"can't be loaded as an encoder \(\w+: .*\); fetch"):
        Encoder(find_model(str(folder)))


def deepen(folder: Path) -> None:
    """Let config.json speak of one layer more than the weights have."""
    config = json.loads((folder / "config.json").read_bytes())
    write(folder / "config.json", config | {"num_hidden_layers": config["num_hidden_layers"] + 1})


@pytest.mark.parametrize("precision", ["fp32", "eager"])
def test_weights_that_are_not_there_are_an_error(
    tiny_model: Path, tmp_path: Path, precision: str
) -> None:
    folder = tmp_path / "deeper"
    shutil.copytree(tiny_model, folder)
    deepen(folder)
    checkpoint = find_model(str(folder))
    with pytest.raises(ClozeError, match=r"deeper lacks 16 of its weights, encoder\.layer\.2\."):
        if precision == "eager":
            EagerForward(checkpoint, "cpu", "fp32", 1)
        else:
            Encoder(checkpoint, precision=precision)


def test_a_pooler_may_be_missing(tiny_model: Path) -> None:
    """The tiny model's files have none, and it is loaded all the same."""
    from safetensors import safe_open

    with safe_open(tiny_model / "model.safetensors", framework="numpy") as file:
        assert not [name for name in file.keys() if "pooler" in name]
    EagerForward(find_model(str(tiny_model)), "cpu", "fp32", 1)


def save(kind: str, options: dict[str, Any], tiny_model: Path, folder: Path) -> Path:
    """Save a tiny random model of a kind with the tiny model's tokenizer."""
    from transformers import AutoConfig, AutoModel

    AutoModel.from_config(AutoConfig.for_model(kind, **options)).save_pretrained(folder)
    shutil.copy(tiny_model / "tokenizer.json", folder)
    return folder


NARROW: dict[str, Any] = {
    "vocab_size": 600, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options", "line"),
    [
        (
            "gpt2", {"vocab_size": 600, "n_embd": 32, "n_layer": 1, "n_head": 2},
            "is a gpt2, a decoder",
        ),
        (
            "t5", {"vocab_size": 600, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1},
            "is a t5, an encoder with a decoder",
        ),
        ("llama", NARROW, "is a llama, a decoder"),
        ("bert", NARROW | {"is_decoder": True}, "is a bert, a decoder"),
    ],
)  # fmt: skip
def test_what_is_no_encoder_is_named(
    tiny_model: Path, tmp_path: Path, kind: str, options: dict[str, Any], line: str
) -> None:
    folder = save(kind, options, tiny_model, tmp_path / "it")
    with pytest.raises(ClozeError, match=f"{line}.*choose another --model"):
        find_model(str(folder))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"hidden_size": 0}, "is a bert, without a hidden_size"),
        ({"model_type": "new", "architectures": ["NewForCausalLM"]}, "is a new, a decoder"),
    ],
)
def test_a_configuration_of_no_encoder_is_named(
    plain: Path, changes: dict[str, object], line: str
) -> None:
    write(plain / "config.json", BERT | changes)
    with pytest.raises(ClozeError, match=line):
        read(plain)


def test_an_encoder_of_images_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    options = NARROW | {"image_size": 32, "patch_size": 16}
    checkpoint = find_model(str(save("vit", options, tiny_model, tmp_path / "it")))
    for make in (
        lambda: EagerForward(checkpoint, "cpu", "fp32", 1),
        lambda: Encoder(checkpoint, precision="fp32"),
    ):
        with pytest.raises(ClozeError, match=r"does not run .*; choose another --model") as error:
            make()
        assert "\n" not in str(error.value)


def test_mpnet_runs_though_it_has_but_one_attention(tiny_model: Path, tmp_path: Path) -> None:
    folder = save("mpnet", NARROW, tiny_model, tmp_path / "it")
    forward = EagerForward(find_model(str(folder)), "cpu", "fp32", 1)
    assert forward(padded([TokenRow([2, 7, 3])], 16))[0].shape == (1, 32)


def test_a_tokenizer_that_is_none_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(tiny_model, folder)
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(ClozeError, match=r"tokenizer\.json can't be read"):
        Encoder(find_model(str(folder)))
