"""Checkpoints that fine-tuning begins with, the files it leaves, its budget and its command."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from transformers import BertForSequenceClassification

from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.checkpoint import Checkpoint
from training.finetuning.budget import Epochs, epochs_option, loop_budget
from training.finetuning.checkpoint import load_classifier, load_encoder, write_sentence_files
from training.finetuning.material import Material, command_line, pair_settings
from training.loop.schedule import Budget
from training.pairs.reading import read_pairs


def test_an_encoder_needs_no_pooler_and_keeps_none(
    sentence_folder: Path, base_folder: Path
) -> None:
    for folder in (sentence_folder, base_folder):
        model = load_encoder(find_model(str(folder)))
        assert model.pooler is None
        assert {each.dtype for each in model.parameters()} == {torch.float32}


def test_a_classifier_begins_at_random_by_its_seed_where_it_is_new(
    sentence_folder: Path, tmp_path: Path
) -> None:
    checkpoint = find_model(str(sentence_folder))
    first, is_new = load_classifier(checkpoint, 1)
    assert is_new and first.config.num_labels == 1
    again, _ = load_classifier(checkpoint, 1)
    other, _ = load_classifier(checkpoint, 2)
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    saved = tmp_path / "classifier"
    shutil.copytree(sentence_folder, saved)
    BertForSequenceClassification.save_pretrained(first, saved)
    loaded, is_new = load_classifier(find_model(str(saved)), 2)
    assert not is_new
    assert torch.equal(loaded.classifier.weight, first.classifier.weight)


def changed(folder: Path, target: Path, **settings: object) -> Checkpoint:
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text()) | settings
    (target / "config.json").write_text(json.dumps(config))
    return find_model(str(target))


def test_what_our_forward_pass_does_not_compute_is_refused(
    sentence_folder: Path, tmp_path: Path
) -> None:
    relu = changed(sentence_folder, tmp_path / "relu", hidden_act="relu")
    with pytest.raises(ClozeError, match="has the hidden_act 'relu', and training runs 'gelu'"):
        load_encoder(relu)
    single = changed(sentence_folder, tmp_path / "single", type_vocab_size=1)
    with pytest.raises(ClozeError, match="has the type_vocab_size 1, and a cross-encoder tells"):
        load_classifier(single, 0)
    deeper = changed(sentence_folder, tmp_path / "deeper", num_hidden_layers=3)
    with pytest.raises(ClozeError, match="lacks 16 of its weights"):
        load_encoder(deeper)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_files_of_a_sentence_encoder_read_back(
    sentence_folder: Path, tmp_path: Path, pooling: str
) -> None:
    folder = tmp_path / "written"
    shutil.copytree(sentence_folder, folder)
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    before = find_model(str(folder))
    write_sentence_files(folder, before, pooling=pooling, dimension=32)
    after = find_model(str(folder))
    assert (after.pooling, after.normalize, after.dimension) == (pooling, True, 32)
    assert (after.query_prompt, after.document_prompt) == ("query: ", "passage: ")
    assert after.max_tokens == before.max_tokens == 48


@pytest.mark.parametrize(
    ("epochs", "examples", "batch", "steps"), [(1, 32, 8, 4), (1, 33, 8, 5), (0.5, 32, 8, 2),
                                               (0.01, 32, 8, 1), (3, 10, 4, 8), (1.1, 100, 10, 11)],
)  # fmt: skip
def test_passes_over_examples_are_steps(
    epochs: float, examples: int, batch: int, steps: int
) -> None:
    asked = Epochs(count=epochs)
    assert loop_budget(asked, examples, batch) == Budget(unit="steps", amount=steps)
    assert epochs_option(asked) == {"--epochs": epochs}


def test_a_budget_of_the_loop_stays_what_it_is() -> None:
    asked = Budget(unit="seconds", amount=90)
    assert loop_budget(asked, 32, 8) is asked
    assert epochs_option(asked) == {"--budget": "90s"}
    assert epochs_option(Budget(unit="steps", amount=9)) == {"--steps": 9}


def test_a_command_line_repeats_what_was_given(tmp_path: Path) -> None:
    path = tmp_path / "own pairs.jsonl"
    path.write_text('{"query": "a", "positive": "b"}\n{"query": "c", "positive": "d"}\n')
    pairs = read_pairs([str(path)])
    material = Material(
        pairs=pairs, train=pairs.examples[:1], held_out=pairs.examples[1:], paths=(str(path),),
        options={"--negatives": None, "--against": ["x", "y"], "--allow-leak": True,
                 "--skip-bad": False},
    )  # fmt: skip
    line = command_line("biencoder", material, {"--lr": None, "--batch": 8})
    assert shlex.split(line) == [
        "cloze", "train", "biencoder", str(path), "--batch", "8", "--against", "x", "--against",
        "y", "--allow-leak",
    ]  # fmt: skip
    assert pair_settings(material) == {"pairs": pairs.content_hash[:16], "--held-out": 1}
