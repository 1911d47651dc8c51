"""Sizes of BERT, and checkpoints to train on."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertModel

from indexer.errors import ClozeError
from tests.training.small import small_bert
from training.architecture import POSITIONS, SIZES, load_model, new_model, read_limits

VOCABULARY = 30522
# Parameters of the encoders without pooler and heads, from the released models with that
# vocabulary (Turc et al., 2019, table 1; Devlin et al., 2019, section 3), in millions.
MILLIONS = {
    "bert-tiny": 4.4, "bert-mini": 11.1, "bert-small": 28.5, "bert-medium": 41.1,
    "bert-base": 108.9, "bert-large": 334.1,
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_released_models(name: str) -> None:
    with torch.device("meta"):
        model = new_model(name, VOCABULARY, 0, 0)
    config = model.config
    assert config.hidden_size // config.num_attention_heads == 64
    assert config.intermediate_size == 4 * config.hidden_size
    assert config.max_position_embeddings == POSITIONS == 512
    assert (config.hidden_act, config.model_type, config.type_vocab_size) == ("gelu", "bert", 2)
    count = sum(each.numel() for key, each in model.bert.named_parameters() if "pooler" not in key)
    assert count / 1e6 == pytest.approx(MILLIONS[name], abs=0.1)


def test_a_seed_decides_the_weights() -> None:
    first, same, other = (new_model("bert-tiny", 200, 3, seed) for seed in (5, 5, 6))
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name])
    word = "bert.embeddings.word_embeddings.weight"
    assert not torch.equal(first.state_dict()[word], other.state_dict()[word])
    assert first.config.pad_token_id == 3
    assert first.cls.predictions.decoder.weight is first.bert.embeddings.word_embeddings.weight


def test_an_unknown_size_is_named_with_the_known_ones() -> None:
    with pytest.raises(ClozeError, match=r"'bert-huge', neither .* bert-tiny, bert-mini"):
        new_model("bert-huge", 100, 0, 0)


def test_a_checkpoint_is_loaded_as_it_is(base_folder: Path) -> None:
    model, missing = load_model(base_folder, 1)
    assert missing == []
    for name, weight in small_bert(model.config.vocab_size).state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
    assert read_limits(base_folder, "it", "mlm+nsp") == (model.config.vocab_size, 64)


def test_what_a_checkpoint_lacks_begins_by_the_seed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    encoder = BertModel(small_bert(100).config, add_pooling_layer=False)
    encoder.bfloat16().save_pretrained(tmp_path)
    capfd.readouterr()
    model, missing = load_model(tmp_path, 1)
    assert missing == [
        "bert.pooler.dense", "cls.predictions", "cls.predictions.decoder",
        "cls.predictions.transform.LayerNorm", "cls.predictions.transform.dense",
        "cls.seq_relationship",
    ]  # fmt: skip
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight.float(), model.bert.state_dict()[name])
    again, _ = load_model(tmp_path, 1)
    assert torch.equal(again.cls.seq_relationship.weight, model.cls.seq_relationship.weight)
    assert "".join(capfd.readouterr()) == "", "transformers' own lines are not for the user"


@pytest.mark.parametrize("key", ["vocab_size", "max_position_embeddings"])
def test_a_checkpoint_that_does_not_tell_its_sizes_is_refused(
    base_folder: Path, tmp_path: Path, key: str
) -> None:
    config = json.loads((base_folder / "config.json").read_text())
    for changed in ({}, {key: None}, {key: "many"}):
        left = {name: value for name, value in config.items() if name != key} | changed
        (tmp_path / "config.json").write_text(json.dumps(left))
        found = repr(left.get(key))
        with pytest.raises(ClozeError, match=f"MY-MODEL .* whose {key} is {found}, and a number"):
            read_limits(tmp_path, "MY-MODEL", "mlm")


def test_pairs_need_two_types_of_tokens(base_folder: Path, tmp_path: Path) -> None:
    read_limits(base_folder, "MY-MODEL", "mlm+nsp")
    config = json.loads((base_folder / "config.json").read_text()) | {"type_vocab_size": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read_limits(tmp_path, "MY-MODEL", "mlm")
    with pytest.raises(
        ClozeError, match=r"mlm\+sop has 2 segments .* type_vocab_size 1; choose mlm"
    ):
        read_limits(tmp_path, "MY-MODEL", "mlm+sop")


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("model_type", "roberta", "model_type 'roberta'"),
        ("hidden_act", "relu", "hidden_act 'relu'"),
        ("position_embedding_type", "relative_key", "position_embedding_type 'relative_key'"),
    ],
)
def test_other_models_are_refused_by_what_they_differ_in(
    base_folder: Path, tmp_path: Path, key: str, value: str, found: str
) -> None:
    config = json.loads((base_folder / "config.json").read_text()) | {key: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ClozeError, match=f"MY-MODEL has the {found}"):
        read_limits(tmp_path, "MY-MODEL", "mlm")
