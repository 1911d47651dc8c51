"""API keys: made, kept as hashes, and recognised."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from indexer.errors import ClozeError

Scope: TypeAlias = Literal["read", "write"]
SCOPES: tuple[Scope, ...] = ("read", "write")

_PREFIX = "cloze_"
_BYTES = 32  # of a key; so many need no slow hash
_LEAST = 20  # characters of a key that was not made here
_HASHED = "sha256:"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of a key: the SHA-256 of it in hex, what it may do, and whose it is."""

    digest: str
    scope: Scope
    name: str

    @property
    def fingerprint(self) -> str:
        """The first eight digits of the hash, which may stand in a log."""
        return self.digest[:8]

    @property
    def writes(self) -> bool:
        """Whether it may change the index; every key may read."""
        return self.scope == "write"

    def line(self) -> str:
        """Return the line of a key file."""
        return f"{self.scope} {_HASHED}{self.digest} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys that a service knows."""

    keys: tuple[Key, ...]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.keys)

    def find(self, secret: bytes) -> Key | None:
        """Return the key that this is, in a time that doesn't tell how near a wrong one came."""
        digest = hashlib.sha256(secret).hexdigest()
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def generate() -> str:
    """Return a new key, 256 random bits; only its hash is ever stored."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_key(file: Path, scope: Scope, name: str) -> str:
    """Make a key, append its line to a file that only its owner may read, and return the key.

    Raises:
        ClozeError: the name can't stand in a line.
        OSError: the file can't be written.
    """
    if not name.strip() or not name.isprintable() or _HASHED in name:
        raise ClozeError(
            f"--name is {name!r}; give it letters that can be printed, and no hash ({_HASHED})"
        )
    secret = generate()
    line = Key(digest=digest_of(secret), scope=scope, name=name.strip()).line()
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "rb+") as lines:
        lines.seek(max(0, lines.seek(0, os.SEEK_END) - 1))
        # A file that was written by hand may have no end to its last line.
        begin = "" if lines.read() in (b"", b"\n") else "\n"
        lines.write(f"{begin}{line}\n".encode())
    return secret


def read_keys(file: Path | None, environment: str = "") -> Keys | None:
    """Read keys from a file and from `CLOZE_API_KEYS`; None where neither was given.

    The file has a line `read|write sha256:HEX name` for each key; empty lines and those that begin
    with # are passed over. The environment has `read:KEY` or `write:KEY`, divided by white space,
    and keys of 20 characters or more, as shorter ones can be guessed.

    Raises:
        ClozeError: the file can't be read, something in it is no key, a key is there twice or too
            short, or the file has none.
    """
    if file is None and not environment.strip():
        return None
    keys = [*(_in_file(file) if file is not None else ()), *_in_environment(environment)]
    if not keys:
        raise ClozeError(f"{file} has no key; make one with: cloze key add {file}")
    _refuse_twice(keys)
    return Keys(keys=tuple(keys))


def _in_file(file: Path) -> Iterator[Key]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ClozeError(
            f"the keys of {file} can't be read: {reason}; make the file with: cloze key add {file}"
        ) from None
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _in_line(line, f"{file}:{number}")


def _in_line(line: str, place: str) -> Key:
    parts = line.split(maxsplit=2)
    if len(parts) == 3 and parts[0] in SCOPES:
        scheme, _, digest = parts[1].partition(":")
        if scheme == "sha256" and len(digest) == 64 and set(digest) <= _HEX:
            return Key(digest=digest, scope=parts[0], name=parts[2].strip())
    # The line itself may hold a key that someone wrote there by mistake.
    raise ClozeError(
        f"{place} is no key; a line is: read|write sha256:HEX name, as cloze key add writes it"
    )


def _in_environment(value: str) -> Iterator[Key]:
    for number, entry in enumerate(value.split(), 1):
        scope, _, secret = entry.partition(":")
        if scope not in SCOPES or not secret:
            raise ClozeError(
                f"entry {number} of CLOZE_API_KEYS is no key; write read:KEY or write:KEY, divided "
                "by spaces"
            )
        if len(secret) < _LEAST:
            raise ClozeError(
                f"entry {number} of CLOZE_API_KEYS has a key of {len(secret)} characters, which "
                f"can be guessed; make one of {_LEAST} or more, as cloze key add does"
            )
        name = f"CLOZE_API_KEYS {number}"
        yield Key(digest=digest_of(secret), scope=scope, name=name)


def _refuse_twice(keys: Sequence[Key]) -> None:
    seen: dict[str, Key] = {}
    for key in keys:
        if (other := seen.setdefault(key.digest, key)) is not key:
            raise ClozeError(
                f"the keys {other.name!r} and {key.name!r} are the same; take one of them out"
            )
