"""Pretraining from text to a finished checkpoint folder: `cloze pretrain` as a function."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.caches import cache_home
from indexer.errors import ClozeError
from training.architecture import load_model, new_model
from training.card import Origin, write_card
from training.loop.loop import LoopSettings
from training.loop.meter import Show
from training.loop.parts import Part
from training.masking import Vocabulary
from training.plan import (
    Plan,
    base_of,
    check_fit,
    check_parts,
    corruption_of,
    phases_of,
    precision_of,
    rate_of,
    tokenizer_of,
)
from training.precision import DTYPES
from training.pretraining import Pretraining, Size
from training.record import command_of, result_of, settings_of, text_setting
from training.run_folder import check_run
from training.running import TOKENIZER_FILES, Prepared, Trained, copy_files, run_training
from training.sequences import Corruption
from training.shards import Shards
from training.shards.enough import check_enough
from training.shards.writing import write_shards
from training.text import Advance

if TYPE_CHECKING:
    from transformers import BertForPreTraining

_TOKENS_AT_ONCE = 4096
_DOCUMENTS_OF_PAIRS = 2
# What makes a checkpoint of sentence-transformers an encoder of sentences.
_SENTENCE_FILES = (
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling",
    "2_Normalize",
)


def pretrain(
    plan: Plan,
    out: Path,
    part: Part,
    *,
    tell: Callable[[str], None],
    reading: AbstractContextManager[Advance],
    training: AbstractContextManager[Show],
) -> Trained:
    """Pretrain as planned into a folder, or go on there; the two contexts show each its work.

    What the user should know before it trains is told.

    Raises:
        ClozeError: the plan can't be met, the folder holds another run or another process trains
            there, or the loss ran away.
        StoppedError: a signal asked to stop; the same call goes on.
    """
    base = base_of(plan)
    tokenizer = tokenizer_of(plan, base)
    vocabulary = Vocabulary.of(tokenizer)
    corruption = corruption_of(plan)
    precision = precision_of(plan)
    phases = phases_of(plan, corruption)
    check_fit(plan, base, vocabulary)
    check_parts(plan, part)
    settings = settings_of(
        plan, tokenizer=tokenizer, base=base, rate=rate_of(plan), precision=precision
    )

    def prepare() -> Prepared[Pretraining]:
        with reading as progress:
            check_run(out, settings, unknown=frozenset({"text"}))
            shards = write_shards(
                plan.texts, tokenizer, home=cache_home() / "shards", reading=plan.reading,
                progress=progress,
            )  # fmt: skip
            _check_pairs(corruption, shards)
            check_enough(shards, vocabulary, plan.batch_tokens)

        def make() -> tuple[Pretraining, list[str]]:
            model, missing = _model(plan, base, vocabulary)
            task = Pretraining(
                model, shards, vocabulary, phases=phases, corruption=corruption,
                size=Size(batch_tokens=plan.batch_tokens, tokens_at_once=_TOKENS_AT_ONCE),
                seed=plan.seed, dtype=DTYPES[precision], device=plan.device,
            )  # fmt: skip
            return task, _notices(plan, shards, missing)

        sealed = text_setting(shards) | settings

        def write(task: Pretraining, result: Mapping[str, Any]) -> None:
            task.save(out)
            copy_files(tokenizer, TOKENIZER_FILES, out)
            if base:
                copy_files(base, _SENTENCE_FILES, out)
            write_card(out, task.model.config, _origin(plan, out, base), sealed, result)

        return Prepared(
            settings=sealed,
            make=make,
            result=lambda task, outcome: result_of(outcome, shards, task.model.num_parameters()),
            write=write,
        )

    return run_training(
        out, _loop_settings(plan), prepare, part=part, device=plan.device, tell=tell,
        training=training,
    )  # fmt: skip


def _loop_settings(plan: Plan) -> LoopSettings:
    return LoopSettings(budget=plan.budget, rate=rate_of(plan))


def _notices(plan: Plan, shards: Shards, missing: list[str]) -> list[str]:
    """Return what the user should know of text and model before they are trained on."""
    notices = [f"{plan.arch} has no {name}; it began at random" for name in missing]
    if shards.dropped:
        notices.append(f"documents without a token, left out: {shards.dropped:,}")
    return notices


def _origin(plan: Plan, out: Path, base: Path | None) -> Origin:
    return Origin(
        texts=plan.texts, tokenizer=plan.tokenizer or plan.arch, base=plan.arch if base else None,
        command=command_of(plan, out),
    )  # fmt: skip


def _check_pairs(corruption: Corruption, shards: Shards) -> None:
    """Check that the text to train on has documents enough for pairs."""
    documents = shards.documents - shards.held_out
    if corruption.pairing == "nsp" and documents < _DOCUMENTS_OF_PAIRS:
        raise ClozeError(
            f"--objective mlm+nsp needs {_DOCUMENTS_OF_PAIRS} documents to train on, and the text "
            f"has {documents}; give more, or choose mlm or mlm+sop"
        )


def _model(
    plan: Plan, base: Path | None, vocabulary: Vocabulary
) -> tuple["BertForPreTraining", list[str]]:
    """Make or load the model, and tell which parts of it are new."""
    missing: list[str] = []
    if base is None:
        model = new_model(plan.arch, vocabulary.size, vocabulary.pad, plan.seed)
    else:
        model, missing = load_model(base, plan.seed)
    pairs = plan.objective != "mlm"
    return model, [name for name in missing if pairs or "seq_relationship" not in name]
