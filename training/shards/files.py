"""Where the files of a folder of shards lie, and the seals that vouch for them."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.caches import file_sum
from indexer.errors import ClozeError

# Changes with every rule that decides what the arrays hold.
RULES = 2
SEAL = "shards.json"
KINDS = ("tokens", "sentences", "documents", "hashes")

Arrays: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSeal:
    """What one finished shard holds.

    `read` counts the documents that were read for it, those without a token included; `sums` are
    the sha256 of its files by kind.
    """

    read: int
    documents: int
    sentences: int
    tokens: int
    sums: dict[str, str]


def array_path(folder: Path, kind: str, number: int) -> Path:
    """Return where one array of a shard lies."""
    return folder / f"{kind}-{number:05}.npy"


def seal_path(folder: Path, number: int) -> Path:
    """Return where the seal of one shard lies until all are finished and after."""
    return folder / f"shard-{number:05}.json"


def load_array(folder: Path, kind: str, number: int) -> NDArray[Any]:
    """Map one array of a shard into memory."""
    found = np.load(array_path(folder, kind, number), mmap_mode="r", allow_pickle=False)
    return np.asarray(found.view(np.ndarray))  # each slice of a memmap costs much more


def write_shard(folder: Path, number: int, arrays: Arrays, read: int) -> ShardSeal:
    """Write a shard's arrays, then its seal by an atomic rename: with it the shard is finished."""
    sums = {}
    for kind in KINDS:
        path = array_path(folder, kind, number)
        with path.open("wb") as file:
            np.save(file, arrays[kind], allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        with path.open("rb") as file:
            sums[kind] = hashlib.file_digest(file, "sha256").hexdigest()
    seal = ShardSeal(
        read=read,
        documents=len(arrays["documents"]) - 1,
        sentences=len(arrays["sentences"]) - 1,
        tokens=len(arrays["tokens"]),
        sums=sums,
    )
    write_json(seal_path(folder, number), asdict(seal))
    return seal


def finished_shards(folder: Path) -> list[ShardSeal]:
    """Return the seals of the shards that were finished and are whole, up to the first gap."""
    seals: list[ShardSeal] = []
    while seal := _finished(folder, len(seals)):
        seals.append(seal)
    return seals


def _finished(folder: Path, number: int) -> ShardSeal | None:
    try:
        seal = ShardSeal(**json.loads(seal_path(folder, number).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return seal if all(is_whole(folder, kind, number, seal) for kind in KINDS) else None


def is_whole(folder: Path, kind: str, number: int, seal: ShardSeal) -> bool:
    """Tell whether a shard's array has the content that was sealed."""
    path = array_path(folder, kind, number)
    return path.exists() and file_sum(path) == seal.sums[kind]


def write_json(path: Path, value: object) -> None:
    """Write a file of JSON so that it is there whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def is_sealed(folder: Path) -> bool:
    """Tell whether all shards of a folder are finished."""
    return (folder / SEAL).exists()


def write_seal(folder: Path, seals: list[ShardSeal], **facts: int | str) -> None:
    """Seal a folder whose shards are all finished."""
    totals = {
        kind: sum(getattr(seal, kind) for seal in seals)
        for kind in ("read", "documents", "sentences", "tokens")
    }
    shards = [asdict(seal) for seal in seals]
    write_json(folder / SEAL, {"rules": RULES, **totals, **facts, "shards": shards})


def read_seal(folder: Path) -> dict[str, Any]:
    """Read what the folder says of itself.

    Raises:
        ClozeError: it is no folder of shards, unfinished, unreadable, or of other rules.
    """
    path = folder / SEAL
    try:
        seal: dict[str, Any] = json.loads(path.read_bytes())
        rules = seal["rules"]
    except FileNotFoundError:
        known = seal_path(folder, 0).exists()
        found = "its token shards are unfinished" if known else "it holds no token shards"
        raise ClozeError(f"{folder} has no {SEAL}: {found}; run the command again") from None
    except (ValueError, KeyError, TypeError):
        raise ClozeError(f"{path} is damaged; delete {folder} and run the command again") from None
    if rules != RULES:
        raise ClozeError(
            f"{path} is of rules {rules}, this cloze writes {RULES}; delete {folder} and run the "
            "command again"
        )
    return seal
