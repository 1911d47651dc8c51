"""Where caches lie, and the checksums of large files that have not changed since they were read."""

import contextlib
import hashlib
import os
import time
from pathlib import Path

# A file changed so lately may change again within one tick of the file system's clock.
_SETTLED_SECONDS = 2.0


def cache_home() -> Path:
    """Return the folder of cloze's caches: `CLOZE_HOME`, else the XDG cache."""
    if home := os.environ.get("CLOZE_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cloze"


def file_sum(path: Path) -> str:
    """Return a file's sha256, remembered by its place, inode, size and times of change."""
    status = path.stat()
    facts = (
        path.resolve(), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
        status.st_ctime_ns,
    )  # fmt: skip
    known = cache_home() / "sums" / hashlib.sha256(repr(facts).encode()).hexdigest()
    with contextlib.suppress(OSError, ValueError):
        (found,) = known.read_text().split()
        if len(found) == hashlib.sha256().digest_size * 2:
            return found
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time() - status.st_ctime > _SETTLED_SECONDS:
        with contextlib.suppress(OSError):  # a cache that can't be written saves no time
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(found)
    return found
