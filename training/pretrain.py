"""Pretraining from text to a finished checkpoint folder: `cloze pretrain` as a function."""

import difflib
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from indexer.caches import cache_home
from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.precision import has
from training.architecture import POSITIONS, SIZES, load_model, new_model, read_limits
from training.batches import check_rows
from training.card import Origin, write_card
from training.loop.checkpoints import Checkpoints
from training.loop.loop import CHECKPOINTS, Loop, LoopSettings
from training.loop.meter import Show
from training.loop.parts import Part, first_goes, joined
from training.loop.schedule import Budget
from training.masking import MASKINGS, Rates, Vocabulary
from training.pretraining import Phase, Pretraining, Size
from training.record import command_of, result_of, settings_of, text_setting
from training.run_folder import Run, check_run, finish_run, locked_run, open_run
from training.sequences import PAIRINGS, Corruption, room_for
from training.shards import Shards
from training.shards.enough import check_enough
from training.shards.writing import write_shards
from training.text import Advance, Reading
from training.tokenizer import open_tokenizer

if TYPE_CHECKING:
    from transformers import BertForPreTraining

# Of the budget, from where on the second width is trained (Devlin et al., 2019, appendix A.2).
_SECOND_BEGINS = 0.9
_TOKENS_AT_ONCE = 4096
_DOCUMENTS_OF_PAIRS = 2
_ALIKE = 0.8  # bert-smal is; bert-base-uncased, which a hub has, is not
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
# What makes a checkpoint of sentence-transformers an encoder of sentences.
_SENTENCE_FILES = (
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling",
    "2_Normalize",
)


_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Peaks of the learning rate, chosen by short runs for tiny to small, else as published.
RATES = {
    "bert-tiny": 2e-3,
    "bert-mini": 1e-3,
    "bert-small": 1e-3,
    "bert-medium": 5e-4,
    "bert-base": 2e-4,
    "bert-large": 1e-4,
}
CONTINUED_RATE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to pretrain on what, and how; widths are in tokens with special ones, rising.

    `tokenizer` is None where that of the checkpoint `arch` serves, `rate` None for the size's own.
    """

    texts: tuple[str, ...]
    tokenizer: str | None
    arch: str
    objective: str
    budget: Budget
    widths: tuple[int, ...] = (128, 512)
    masking: str = "token"
    rates: Rates = field(default_factory=Rates)
    duplicates: int | None = None
    batch_tokens: int = 4096
    rate: float | None = None
    seed: int = 0
    precision: str = "auto"
    device: str = "cpu"
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """A finished run: its folder's result, and whether this call trained at all."""

    folder: Path
    result: Mapping[str, Any]
    trained: bool


def pretrain(
    plan: Plan,
    out: Path,
    part: Part,
    *,
    tell: Callable[[str], None],
    reading: AbstractContextManager[Advance],
    training: AbstractContextManager[Show],
) -> Pretrained:
    """Pretrain as planned into a folder, or go on there; the two contexts show each its work.

    What the user should know before it trains is told.

    Raises:
        ClozeError: the plan can't be met, the folder holds another run or another process trains
            there, or the loss ran away.
        StoppedError: a signal asked to stop; the same call goes on.
    """
    base = _base(plan)
    tokenizer = _tokenizer_folder(plan, base)
    vocabulary = Vocabulary.of(tokenizer)
    corruption = _corruption(plan)
    precision = _precision(plan)
    phases = _phases(plan, corruption)
    _check_fit(plan, base, vocabulary)
    _check_parts(plan, part)
    settings = settings_of(
        plan, tokenizer=tokenizer, base=base, rate=_rate(plan), precision=precision
    )
    with joined(part, plan.device), ExitStack() as held:
        with first_goes(part, plan.device), reading as progress:
            check_run(out, settings, unknown=frozenset({"text"}))
            shards = write_shards(
                plan.texts, tokenizer, home=cache_home() / "shards", reading=plan.reading,
                progress=progress,
            )  # fmt: skip
            _check_pairs(corruption, shards)
            check_enough(shards, vocabulary, plan.batch_tokens)
            run = _open(out, text_setting(shards) | settings, part, held)
        if run.result is not None:
            if part.is_first:  # a kill may have left them
                Checkpoints(out / CHECKPOINTS).remove()
            return Pretrained(folder=out, result=run.result, trained=False)
        model, missing = _model(plan, base, vocabulary)
        task = Pretraining(
            model, shards, vocabulary, phases=phases, corruption=corruption,
            size=Size(batch_tokens=plan.batch_tokens, tokens_at_once=_TOKENS_AT_ONCE),
            seed=plan.seed, dtype=_DTYPES[precision], device=plan.device,
        )  # fmt: skip
        loop = Loop(task, _loop_settings(plan), out, part, plan.device)
        if part.is_first:
            for line in (*loop.notices, *_notices(plan, shards, missing)):
                tell(line)
        with training as show:
            outcome = loop.run(show)
        result = result_of(outcome, shards, model.num_parameters())
        if part.is_first:
            _write_model(task, run, tokenizer, base, _origin(plan, out, base), result)
            finish_run(run, result)
            loop.checkpoints.remove()
    return Pretrained(folder=out, result=result, trained=True)


def _base(plan: Plan) -> Path | None:
    """Return the folder of the checkpoint to go on from, None for a size."""
    if plan.arch in SIZES:
        return None
    nearest = difflib.get_close_matches(plan.arch, SIZES, 1, _ALIKE)
    if nearest and not Path(plan.arch).expanduser().exists():
        raise ClozeError(
            f"--arch is {plan.arch!r}, and the nearest known size is {nearest[0]}; name that, or "
            "a checkpoint's folder or hub id"
        )
    return find_model(plan.arch).folder


def _open(out: Path, settings: Mapping[str, Any], part: Part, held: ExitStack) -> Run:
    """Open the run's folder, and keep other commands out of it while it isn't finished."""
    found = check_run(out, settings)
    if part.is_first and (found is None or found.result is None):
        held.enter_context(locked_run(out))
    return open_run(out, settings)


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


def _check_parts(plan: Plan, part: Part) -> None:
    """Check that each process has rows to train on."""
    width = plan.widths[-1]
    rows = max(1, plan.batch_tokens // width)
    if rows < part.world:
        raise ClozeError(
            f"--batch-tokens {plan.batch_tokens} holds {rows} rows of {width} tokens, and "
            f"{part.world} processes share them; give at least {part.world * width}"
        )


def _corruption(plan: Plan) -> Corruption:
    """Read an objective such as mlm+nsp, and how texts are masked."""
    names = plan.objective.split("+")
    pairs = [name for name in names if name in PAIRINGS]
    if sorted(names) != sorted({"mlm", *pairs}) or len(pairs) > 1:
        raise ClozeError(
            f"--objective is {plan.objective!r}; choose mlm, or mlm and one of "
            f"{', '.join(PAIRINGS)}, as in mlm+nsp"
        )
    if plan.masking not in MASKINGS:
        raise ClozeError(f"--masking is {plan.masking!r}; choose {', '.join(MASKINGS)}")
    return Corruption(
        masking=plan.masking, rates=plan.rates, duplicates=plan.duplicates,
        pairing=pairs[0] if pairs else None,
    )  # fmt: skip


def _precision(plan: Plan) -> str:
    """Choose bf16 where the device has it in hardware, else fp32."""
    if plan.precision == "auto":
        return "bf16" if has("bf16", plan.device) else "fp32"
    if plan.precision not in _DTYPES:
        raise ClozeError(
            f"--precision is {plan.precision!r}; training runs in {', '.join(_DTYPES)}, or auto"
        )
    return plan.precision


def _tokenizer_folder(plan: Plan, base: Path | None) -> Path:
    if plan.tokenizer is None and base is None:
        raise ClozeError(
            f"--arch {plan.arch} begins from nothing and needs a --tokenizer; make one with "
            "cloze train tokenizer"
        )
    if plan.tokenizer is None and base is not None:
        return base
    folder = Path(plan.tokenizer or "").expanduser()
    if base and open_tokenizer(folder).content_hash != open_tokenizer(base).content_hash:
        raise ClozeError(
            f"--tokenizer {plan.tokenizer} is not the one that {plan.arch} was trained with; leave "
            "it out"
        )
    return folder


def _phases(plan: Plan, corruption: Corruption) -> tuple[Phase, ...]:
    widths = plan.widths
    for width in widths:
        room_for(width, corruption)
    if not 1 <= len(widths) <= 2 or sorted(set(widths)) != list(widths):
        given = ",".join(map(str, widths))
        raise ClozeError(f"--length is {given!r}; give one length, or a shorter and a longer one")
    begins = (0.0, _SECOND_BEGINS)
    return tuple(
        Phase(width=width, begins=begin) for width, begin in zip(widths, begins, strict=False)
    )


def _check_fit(plan: Plan, base: Path | None, vocabulary: Vocabulary) -> None:
    """Check that tokenizer, lengths and batch fit, before any text is read."""
    pieces, positions = vocabulary.size, POSITIONS
    if base is not None:
        pieces, positions = read_limits(base, plan.arch, plan.objective)
    if vocabulary.size > pieces:
        raise ClozeError(
            f"the tokenizer has {vocabulary.size} pieces and {plan.arch} embeds {pieces}; name "
            "the tokenizer that it was trained with"
        )
    if plan.widths[-1] > positions:
        raise ClozeError(
            f"--length is {plan.widths[-1]} and {plan.arch} has {positions} positions; give at "
            "most that"
        )
    check_rows(plan.batch_tokens, plan.widths[-1])


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


def _loop_settings(plan: Plan) -> LoopSettings:
    return LoopSettings(budget=plan.budget, rate=_rate(plan))


def _rate(plan: Plan) -> float:
    return plan.rate or RATES.get(plan.arch, CONTINUED_RATE)


def _write_model(
    task: Pretraining, run: Run, tokenizer: Path, base: Path | None, origin: Origin,
    result: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write the model, its tokenizer and its card beside the run's journal."""
    folder = run.folder
    task.save(folder)
    for name in _TOKENIZER_FILES:
        if (tokenizer / name).exists():
            shutil.copyfile(tokenizer / name, folder / name)
    if base:
        for name in _SENTENCE_FILES:
            if (base / name).is_dir():
                shutil.copytree(base / name, folder / name, dirs_exist_ok=True)
            elif (base / name).exists():
                shutil.copyfile(base / name, folder / name)
    write_card(folder, task.model.config, origin, run.settings, result)
