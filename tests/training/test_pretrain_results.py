"""What a run of `cloze pretrain` leaves behind, and who loads it."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModel, AutoTokenizer, BertForPreTraining

from indexer.encoder import Encoder
from indexer.models import find_model
from tests.training.pretrain_commands import TEXT, Ended, contents

Finished = tuple[Path, Ended]


def test_a_run_ends_with_a_model_and_its_figures(finished: Finished) -> None:
    out, done = finished
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["model"] == str(out)
    assert told["trained"] is True
    assert told["steps"] == 20
    assert told["tokens"] > 20 * 200
    assert set(told["held_out"]) == {
        "loss", "mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy",
    }  # fmt: skip
    assert told["parameters"] == BertForPreTraining.from_pretrained(out).num_parameters()
    assert re.search("has no cls.seq_relationship; it began at random", done.err)
    assert "Traceback" not in done.err
    kinds = {Path(name).suffix for name in contents(out) if not name.startswith("tensorboard")}
    assert kinds == {".json", ".jsonl", ".safetensors", ".png", ".md"}, "no pickle"
    assert not (out / "checkpoints").exists()
    with Image.open(out / "loss.png") as picture:
        picture.verify()
        assert picture.format == "PNG"
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["kind"] == "train"] == list(range(1, 21))
    board = EventAccumulator(str(out / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("held_out/loss")] == [10, 20]


def test_the_card_tells_the_facts(finished: Finished, sentence_folder: Path) -> None:
    out, done = finished
    told = json.loads(done.out)
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    facts = (
        "# finished\n", "2 layers of 32", f"{told['parameters']:,} parameters", "up to 64 tokens",
        f"{told['documents']:,} documents ({told['text_tokens']:,} tokens)",
        f"saw {told['tokens']:,} tokens in 20 steps", "| --objective | mlm+nsp |",
        "| --length | 16,64 |", f"| mlm_loss | {told['held_out']['mlm_loss']:.4g} |",
        "![The loss while training](loss.png)",
    )  # fmt: skip
    for fact in facts:
        assert fact in card


def test_others_load_what_was_saved(finished: Finished) -> None:
    out, _ = finished
    modes = {(out / name).stat().st_mode for name in ("model.safetensors", "config.json")}
    assert len(modes) == 1, "who reads one reads the other"
    saved = load_file(out / "model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {torch.float32}
    loaded: Any = BertForPreTraining.from_pretrained(out, output_loading_info=True)
    model, info = loaded
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(out)
    encoded = tokenizer(TEXT, return_tensors="pt")
    assert "[UNK]" not in tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    encoder = AutoModel.from_pretrained(out)
    with torch.no_grad():
        expected = model.eval().bert(**encoded).last_hidden_state[0]
        found = encoder.eval()(**encoded).last_hidden_state[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    mean = expected.mean(0) / expected.mean(0).norm()

    sentences = SentenceTransformer(str(out), device="cpu")
    assert [type(module).__name__ for module in sentences] == [
        "Transformer",
        "Pooling",
        "Normalize",
    ]
    assert sentences.max_seq_length == 48
    torch.testing.assert_close(
        sentences.encode(TEXT, convert_to_tensor=True), mean, atol=1e-5, rtol=1e-4
    )

    ours = Encoder(find_model(str(out)), precision="fp32")
    np.testing.assert_allclose(ours.encode_queries([TEXT])[0], mean.numpy(), atol=1e-5)

    scores = CrossEncoder(str(out), num_labels=1, device="cpu").predict([(TEXT, "a river")])
    assert np.isfinite(scores).all()


def test_the_run_has_moved_the_weights(finished: Finished, sentence_folder: Path) -> None:
    out, _ = finished
    saved, before = (
        load_file(out / "model.safetensors"),
        load_file(sentence_folder / "model.safetensors"),
    )
    assert len(before) > 30
    for name, weight in before.items():
        assert not torch.equal(saved[f"bert.{name}"], weight), name
