"""Token shards on disk: text tokenised once, memory-mapped, read as runs of tokens."""

from training.shards.runs import Run, Runs
from training.shards.shards import Shards

__all__ = ["Run", "Runs", "Shards"]
