"""Cross-encoder folders: what they say, every reason to turn one down, and their scores."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.errors import ClozeError
from indexer.models import find_classifier, find_model
from indexer.runtime.classifier import read_classifier
from indexer.runtime.eager import EagerForward
from indexer.runtime.eager_classifier import load_classifier
from indexer.runtime.model import read_tokenizer
from indexer.runtime.pairs import PairTokenizer
from indexer.runtime.rows import padded
from tests.indexer.classifiers import FAMILIES, TYPED, edit_json, write_classifier
from tests.indexer.least_folder import write, write_folder

BERT = {
    "model_type": "bert", "hidden_size": 32, "max_position_embeddings": 128,
    "architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"},
}  # fmt: skip
PAIRS = [
    ("the dog", "a cat in the sun"),
    ("", ""),
    ("🎉🎉", "   \t"),
    ("", "light"),
    ("light", ""),
    ("supersonic flow", "a boundary layer in supersonic flow, with heat " * 40),
    ("which bird", "海水" * 80),
]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The least that is a cross-encoder; reading it opens no tensor."""
    return write_folder(tmp_path / "plain", BERT)


@pytest.fixture(scope="module")
def encoder_folder(make_model: Callable[[int], Path]) -> Path:
    return make_model(6)


@pytest.fixture
def tiny(encoder_folder: Path, tmp_path: Path) -> Path:
    return write_classifier(encoder_folder, tmp_path / "tiny")


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({}, 1),
        ({"id2label": {"0": "no", "1": "yes"}}, 2),
        ({"id2label": None}, 2),
        ({"id2label": None, "num_labels": 1}, 1),
    ],
)
def test_labels(plain: Path, changes: dict[str, object], labels: int) -> None:
    edit_json(plain / "config.json", **changes)
    checkpoint = read_classifier(plain, "the model")
    assert (checkpoint.name, checkpoint.labels) == ("the model", labels)
    assert (checkpoint.folder, checkpoint.max_tokens) == (plain, 128)


def test_three_labels_are_turned_down(plain: Path) -> None:
    edit_json(plain / "config.json", id2label={"0": "a", "1": "b", "2": "c"})
    with pytest.raises(ClozeError, match=r"the model has 3 labels .*one or two"):
        read_classifier(plain, "the model")


@pytest.mark.parametrize(
    ("architectures", "found"),
    [(["BertModel"], "is a BertModel"), (None, "names no architecture"), ([], "names no arch")],
)
def test_another_architecture_is_named(
    plain: Path, architectures: list[str] | None, found: str
) -> None:
    edit_json(plain / "config.json", architectures=architectures)
    with pytest.raises(ClozeError, match=f"the model {found}.*ForSequenceClassification"):
        read_classifier(plain, "the model")


def test_an_encoder_is_turned_down(encoder_folder: Path) -> None:
    with pytest.raises(ClozeError, match=r"is a BertModel"):
        find_classifier(str(encoder_folder))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("tokenizer.json", r"has no tokenizer\.json"),
        ("model.safetensors", r"no weights"),
        ("config.json", r"config\.json is missing"),
    ],
)
def test_a_missing_file_of_a_classifier_is_named(plain: Path, missing: str, message: str) -> None:
    (plain / missing).unlink()
    with pytest.raises(ClozeError, match=message):
        read_classifier(plain, "the model")


def test_a_pickled_classifier_is_turned_down(plain: Path) -> None:
    (plain / "model.safetensors").rename(plain / "pytorch_model.bin")
    with pytest.raises(ClozeError, match=r"only pytorch_model\.bin, a pickle"):
        read_classifier(plain, "the model")


def test_a_classifier_with_code_of_its_own_is_turned_down(plain: Path) -> None:
    edit_json(plain / "config.json", auto_map={"AutoModel": "model.Model"})
    with pytest.raises(ClozeError, match=r"needs code of its own"):
        read_classifier(plain, "the model")


def test_a_file_is_no_classifier(plain: Path) -> None:
    with pytest.raises(ClozeError, match=r"config\.json is a file"):
        find_classifier(str(plain / "config.json"))


@pytest.mark.parametrize("name", ["./nowhere", "nobody/nothing-at-all", "not a name//at all"])
def test_an_unknown_classifier_is_an_error_without_a_network(name: str) -> None:
    with pytest.raises(ClozeError, match=r"folder"):
        find_classifier(name)


def test_a_default_prompt_is_the_checkpoints(plain: Path) -> None:
    path = plain / "config_sentence_transformers.json"
    assert read_classifier(plain, "the model").prompt == ""
    write(path, {"prompts": {"query": "ask: "}, "default_prompt_name": None})
    assert read_classifier(plain, "the model").prompt == ""
    edit_json(path, default_prompt_name="query")
    assert read_classifier(plain, "the model").prompt == "ask: "


def test_what_decides_a_score_changes_the_content_hash(plain: Path) -> None:
    hashes = [read_classifier(plain, "the model").content_hash]
    edit_json(plain / "config.json", id2label={"0": "no", "1": "yes"})
    hashes.append(read_classifier(plain, "the model").content_hash)
    write(plain / "tokenizer_config.json", {"model_max_length": 77})
    hashes.append(read_classifier(plain, "the model").content_hash)
    write(plain / "tokenizer.json", {"other": 1})
    hashes.append(read_classifier(plain, "the model").content_hash)
    (plain / "model.safetensors").write_bytes(b"others")
    hashes.append(read_classifier(plain, "the model").content_hash)
    # The same folder as an encoder is converted to something else.
    hashes.append(find_model(str(plain)).content_hash)
    assert len(set(hashes)) == len(hashes)


def reference(folder: Path, *, typed: bool) -> NDArray[np.float32]:
    """Score each pair alone with transformers in float32; of two labels, the log odds."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scores = []
    for first, second in PAIRS:
        # Lists: of one pair alone it takes an empty second text for none.
        row = tokenizer([first], [second], truncation=True, max_length=64, return_tensors="pt")
        if not typed:
            del row["token_type_ids"]
        with torch.no_grad():
            logits = model(**row).logits[0].numpy()
        scores.append(logits[0] if len(logits) == 1 else logits[1] - logits[0])
    return np.array(scores, dtype=np.float32)


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_agree_with_transformers(
    encoder_folder: Path, tmp_path: Path, family: str, labels: int
) -> None:
    folder = write_classifier(encoder_folder, tmp_path / "it", labels=labels, family=family)
    checkpoint = find_classifier(str(folder))
    rows = PairTokenizer(read_tokenizer(checkpoint), checkpoint.max_tokens, "it").rows(PAIRS)
    (scores,) = EagerForward(checkpoint, "cpu", "fp32", 1)(padded(rows, 64))
    expected = reference(folder, typed=family in TYPED)
    assert np.abs(scores - expected).max() < 1e-4
    # The comparison can fail: pairs differ by more than that.
    assert np.diff(np.sort(expected)).min() > 1e-4


def test_scores_in_bf16_keep_their_fine_steps(tiny: Path) -> None:
    import torch

    checkpoint = find_classifier(str(tiny))
    rows = PairTokenizer(read_tokenizer(checkpoint), checkpoint.max_tokens, "it").rows(PAIRS)
    batch = padded(rows, 64)
    inputs = [torch.from_numpy(each) for each in (batch.ids, batch.mask, batch.types)]
    with torch.no_grad():
        coarse = load_classifier(checkpoint, torch.bfloat16)(*inputs)
        fine = load_classifier(checkpoint, torch.float32)(*inputs)
    assert coarse.dtype == torch.float32
    assert (coarse - fine).abs().max() < 0.2
    assert (coarse != coarse.bfloat16().float()).any()


def test_weights_that_are_cut_off_are_turned_down(tiny: Path) -> None:
    import torch

    content = (tiny / "model.safetensors").read_bytes()
    (tiny / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ClozeError, match=r"can't be loaded as a cross-encoder \(\w+: .*\); fetch"):
        load_classifier(find_classifier(str(tiny)), torch.float32)


def test_a_head_that_was_never_trained_is_turned_down(encoder_folder: Path, tmp_path: Path) -> None:
    import torch

    folder = tmp_path / "headless"
    shutil.copytree(encoder_folder, folder)
    edit_json(folder / "config.json", architectures=["BertForSequenceClassification"])
    with pytest.raises(ClozeError, match=r"lacks \d of its weights, bert\.pooler|classifier"):
        load_classifier(find_classifier(str(folder)), torch.float32)
