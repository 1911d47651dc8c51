"""What users would pick instead: Hugging Face's Trainer at its defaults."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    AutoTokenizer,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from indexer.errors import ClozeError
from training.bench.clock import Clock
from training.bench.examples import Example

if TYPE_CHECKING:
    from transformers import BertForPreTraining

# Trainer's default, rows of a step.
BATCH = 8
# More steps than any turn takes.
_STEPS = 10**6


def check_peers() -> None:
    """Check that what Trainer stands on is there, before any work.

    Raises:
        ClozeError: it isn't.
    """
    if not importlib.util.find_spec("accelerate"):
        raise ClozeError(
            "Hugging Face's Trainer needs accelerate; run: pip install 'cloze-search[dev]'"
        )


class Peer:
    """A model that Trainer trains on examples, in bf16 or as it comes in fp32.

    `tokens` counts those trained on in the last turn, `places` with padding.
    """

    def __init__(
        self,
        model: "BertForPreTraining",
        examples: list[Example],
        tokenizer: Path,
        *,
        bf16: bool = False,
    ) -> None:
        """Take what to train on what; without pairs, BertForMaskedLM over the same weights."""
        self.model = model
        self.tokens = 0
        self.places = 0
        self._examples = examples
        self._tokenizer = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
        self._bf16 = bf16
        self._trained = model if "next_sentence_label" in examples[0] else _masked_only(model)
        self._trained.register_forward_pre_hook(self._count, with_kwargs=True)

    def turn(self, seconds: float) -> Clock:
        """Train for some seconds after the steps that aren't timed."""
        clock = Clock()
        self._train(_Timer(clock, self, seconds), batch=BATCH, steps=_STEPS)
        return clock

    def learn(
        self, batch: int, optimiser: torch.optim.Optimizer, rate: Callable[[int], float]
    ) -> None:
        """Train once on all examples, at a rate that follows the tokens trained on so far."""
        for group in optimiser.param_groups:
            group["lr"] = 1.0  # times what the schedule says
        schedule = LambdaLR(optimiser, lambda step: rate(self.tokens))
        self._train(None, batch=batch, optimizers=(optimiser, schedule))

    def _train(
        self,
        callback: TrainerCallback | None,
        *,
        batch: int,
        steps: int = -1,
        optimizers: tuple[Any, Any] = (None, None),
    ) -> None:
        """Run so many steps, or once through the examples.

        By a new Trainer: one that lives on would take over the number format of the next.
        """
        self.tokens = self.places = 0
        with TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder, per_device_train_batch_size=batch, bf16=self._bf16,
                use_cpu=True, dataloader_pin_memory=False, remove_unused_columns=False,
                report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True,
                max_steps=steps, num_train_epochs=1,
            )  # fmt: skip
            trainer = Trainer(
                self._trained, arguments, train_dataset=self._examples, optimizers=optimizers,
                data_collator=DataCollatorForLanguageModeling(self._tokenizer),
                callbacks=[callback] if callback else None,
            )  # fmt: skip
            trainer.remove_callback(PrinterCallback)  # it prints where our JSON goes
            trainer.train()

    def _count(self, model: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen = named["attention_mask"]
        self.tokens += int(seen.sum())
        self.places += seen.numel()


class _Timer(TrainerCallback):
    """Times the steps, and ends the turn."""

    def __init__(self, clock: Clock, peer: Peer, seconds: float) -> None:
        self._clock = clock
        self._peer = peer
        self._seconds = seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ANN401 - transformers' own
        """Note the step."""
        self._clock.tick(self._peer.tokens)
        control.should_training_stop = self._clock.has_timed(self._seconds)


def _masked_only(model: "BertForPreTraining") -> BertForMaskedLM:
    masked = BertForMaskedLM(model.config)
    masked.bert, masked.cls.predictions = model.bert, model.cls.predictions
    return masked
