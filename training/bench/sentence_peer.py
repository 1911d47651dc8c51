"""What users would pick instead for pairs: sentence-transformers' trainer at its defaults."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from indexer.errors import ClozeError
from training.bench.clock import Clock

# More steps than any turn takes.
_STEPS = 10**6


def check_sentence_peer() -> None:
    """Check that what the peer stands on is there, before any work.

    Raises:
        ClozeError: it isn't.
    """
    needed = ("sentence_transformers", "accelerate", "datasets")
    missing = [name for name in needed if not importlib.util.find_spec(name)]
    if missing:
        raise ClozeError(
            f"sentence-transformers' trainer needs {', '.join(missing)}; run: pip install "
            "'cloze-search[dev]'"
        )


class SentencePeer:
    """An encoder that SentenceTransformerTrainer trains on pairs by MultipleNegativesRankingLoss.

    Only the batch and the length are ours; all else is its default, dropout too, or bf16 where it
    is asked for. `pairs` counts those trained on in the last turn.
    """

    def __init__(
        self,
        folder: Path,
        pairs: Sequence[tuple[str, str]],
        *,
        batch: int,
        length: int,
        bf16: bool = False,
    ) -> None:
        """Load the encoder, and take queries and positives."""
        from datasets import Dataset
        from sentence_transformers import SentenceTransformer

        self.pairs = 0
        self.model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        self.model.max_seq_length = length
        queries, positives = zip(*pairs, strict=True)
        self._data = Dataset.from_dict({"anchor": list(queries), "positive": list(positives)})
        self._batch = batch
        self._bf16 = bf16

    def turn(self, seconds: float) -> Clock:
        """Train for some seconds after the steps that aren't timed."""
        clock = Clock()

        def is_over(pairs: int) -> bool:
            clock.tick(pairs)
            return clock.has_timed(seconds)

        self._train(is_over, _STEPS)
        return clock

    def learn(
        self, steps: int, make: Callable[[nn.Module], torch.optim.Optimizer],
        rate: Callable[[float], float],
    ) -> None:  # fmt: skip
        """Train so many steps with an optimiser, at the rate of the share that is done."""
        optimiser = make(self.model)
        for group in optimiser.param_groups:
            group["lr"] = 1.0  # times what the schedule says
        schedule = LambdaLR(optimiser, lambda step: rate(step / steps))
        self._train(lambda pairs: False, steps, optimizers=(optimiser, schedule))

    def _train(
        self, is_over: Callable[[int], bool], steps: int, optimizers: tuple[Any, Any] = (None, None)
    ) -> None:
        """Run steps until it is over, by a new trainer, whose number format is its own."""
        from sentence_transformers import (
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
        )
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
        from transformers import PrinterCallback, TrainerCallback

        self.pairs = 0
        peer = self

        class Watch(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ANN401 - transformers' own
                peer.pairs += peer._batch
                control.should_training_stop = is_over(peer.pairs) or state.global_step >= steps

        with TemporaryDirectory() as folder:
            trainer = SentenceTransformerTrainer(
                self.model,
                SentenceTransformerTrainingArguments(
                    output_dir=folder, per_device_train_batch_size=self._batch, bf16=self._bf16,
                    use_cpu=True, dataloader_pin_memory=False, dataloader_drop_last=True,
                    report_to="none", save_strategy="no", logging_strategy="no",
                    disable_tqdm=True, max_steps=steps,
                ),
                train_dataset=self._data,
                loss=MultipleNegativesRankingLoss(self.model),
                callbacks=[Watch()],
                optimizers=optimizers,
            )  # fmt: skip
            trainer.remove_callback(PrinterCallback)  # it prints where our JSON goes
            trainer.train()
