"""The scorer against transformers, sentence-transformers and our own reranker."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Theirs

from indexer.errors import ClozeError
from indexer.models import find_classifier
from search.reranking.crossencoder import CrossEncoder as Ours
from tests.indexer.classifiers import edit_json
from tests.training.crossencoder.made import made_scorer
from training.finetuning.rows import text_rows
from training.running import TOKENIZER_FILES, copy_files
from training.saving import save_model

PAIRS = [
    ("the dog", "a cat in the sun"),
    ("", ""),
    ("light", ""),
    ("supersonic flow", "a boundary layer in supersonic flow, with heat " * 40),
    ("what did the bear see " * 20, "sea"),
    ("what did the bear see " * 20, "a boundary layer in supersonic flow " * 20),
    *(("a bird", f"{'water ' * length}end") for length in range(1, 60, 6)),
]


@pytest.fixture(scope="module")
def saved(pair_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder as a run leaves it, its head wide enough that scores lie apart."""
    folder = tmp_path_factory.mktemp("saved") / "judge"
    folder.mkdir()
    scorer = made_scorer(pair_base)
    torch.manual_seed(4)
    torch.nn.init.normal_(scorer.model.classifier.weight, std=2.0)
    save_model(scorer.model, folder)
    copy_files(pair_base, TOKENIZER_FILES, folder)
    return folder


def test_scores_are_those_of_sentence_transformers_and_of_our_reranker(saved: Path) -> None:
    scorer = made_scorer(saved, length=64)
    assert not scorer.is_new
    found = scorer.predict(PAIRS)
    theirs = Theirs(str(saved), device="cpu")
    logits = theirs.predict(PAIRS, activation_fn=torch.nn.Identity())
    assert np.ptp(logits) > 0.5
    assert np.abs(found - logits).max() < 1e-4
    ours = Ours(find_classifier(str(saved)), precision="fp32")
    assert np.abs(found - ours.predict(PAIRS)).max() < 1e-4
    probabilities = theirs.predict(PAIRS)
    assert np.abs(probabilities - 1 / (1 + np.exp(-logits))).max() < 1e-4


def test_tokens_are_those_of_transformers(pair_base: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(pair_base)
    expected = theirs(
        [first for first, _ in PAIRS], [second for _, second in PAIRS], truncation=True,
        max_length=20,
    )  # fmt: skip
    found = made_scorer(pair_base, length=20).tokenised(PAIRS)
    assert [each.ids for each in found] == expected["input_ids"]
    assert [each.type_ids for each in found] == expected["token_type_ids"]


def test_a_score_does_not_depend_on_the_rows_it_is_in(saved: Path) -> None:
    scorer = made_scorer(saved)
    alone = np.concatenate([scorer.predict([pair]) for pair in PAIRS])
    assert np.abs(scorer.predict(PAIRS) - alone).max() < 1e-5
    found = torch.zeros(len(PAIRS))
    with torch.no_grad():
        for rows in text_rows(scorer.tokenised(PAIRS), 64):
            found[rows.texts] = scorer.scores(rows)
    assert np.abs(found.numpy() - alone).max() < 1e-5


def test_a_new_classifier_begins_as_the_seed_says(pair_base: Path) -> None:
    first, again, other = (made_scorer(pair_base, seed=seed) for seed in (0, 0, 1))
    assert first.is_new
    assert first.model.config.num_labels == 1
    weights = [each.model.classifier.weight for each in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    # The encoder, and the pooler that it was pretrained with, are the checkpoint's.
    for name in ("bert.pooler.dense.weight", "bert.encoder.layer.1.output.dense.weight"):
        assert torch.equal(first.model.state_dict()[name], other.model.state_dict()[name])


def test_a_model_of_one_segment_is_refused(pair_base: Path, tmp_path: Path) -> None:
    shutil.copytree(pair_base, tmp_path / "one")
    edit_json(tmp_path / "one" / "config.json", type_vocab_size=1)
    with pytest.raises(ClozeError, match="tells its texts apart by 2"):
        made_scorer(tmp_path / "one")


@pytest.mark.parametrize("labels", [2, 3])
def test_a_classifier_of_several_labels_begins_anew(
    pair_base: Path, tmp_path: Path, labels: int
) -> None:
    from transformers import BertForSequenceClassification

    folder = tmp_path / "labels"
    model = BertForSequenceClassification.from_pretrained(pair_base, num_labels=labels)
    save_model(model, folder)
    copy_files(pair_base, TOKENIZER_FILES, folder)
    scorer, again = made_scorer(folder), made_scorer(folder)
    assert scorer.is_new
    assert scorer.model.config.num_labels == 1
    assert scorer.model.classifier.weight.shape == (1, 32)
    assert float(scorer.model.classifier.weight.detach().abs().max()) > 0
    assert torch.equal(scorer.model.classifier.weight, again.model.classifier.weight)
    name = "bert.pooler.dense.weight"
    assert torch.equal(scorer.model.state_dict()[name], model.state_dict()[name])


def test_an_encoder_of_other_sizes_is_refused(pair_base: Path, tmp_path: Path) -> None:
    shutil.copytree(pair_base, tmp_path / "wide")
    edit_json(tmp_path / "wide" / "config.json", intermediate_size=48)
    with pytest.raises(ClozeError, match="lacks 6 of its weights"):
        made_scorer(tmp_path / "wide")
