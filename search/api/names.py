"""Names for folders of this machine, whose paths no client is to read."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

# Whatever begins in a folder of the root; the last part is kept.
_ROOTS = "|".join(re.escape(name) for name in os.listdir("/"))
_PATH = re.compile(rf"/(?:{_ROOTS})(?:/[^\s/:;,'\"()]+)*/([^\s/:;,'\"()]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names that stand for folders of this machine in what a client reads."""

    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, *folders: Path | None) -> "Names":
        """Stand in for these folders, each by its own name."""
        pairs = {
            form: folder.absolute().name
            for folder in folders
            if folder is not None
            for form in (str(folder), str(folder.absolute()), str(folder.resolve()))
            if "/" in form
        }
        # The longest first: one may lie within another.
        return cls(names=tuple(sorted(pairs.items(), key=lambda pair: -len(pair[0]))))

    def hide(self, message: str) -> str:
        """Return a message without the folders' paths, nor any other of this machine."""
        for path, name in self.names:
            message = message.replace(path, name)
        return _PATH.sub(r"\1", message)
