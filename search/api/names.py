"""Names for folders of this machine, whose paths no client is to read."""

from dataclasses import dataclass
from pathlib import Path

from indexer.caches import cache_home


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names that stand for folders of this machine in what a client reads."""

    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, *folders: Path) -> "Names":
        """Stand in for these folders and for that of the caches, each by its own name."""
        return cls(names=()).beside(cache_home(), *folders)

    def beside(self, *folders: Path) -> "Names":
        """Return names that stand for these folders too."""
        pairs = dict(self.names) | {
            form: folder.absolute().name
            for folder in folders
            for form in (str(folder), str(folder.absolute()), str(folder.resolve()))
            if "/" in form
        }
        # The longest first: one may lie within another.
        return Names(names=tuple(sorted(pairs.items(), key=lambda pair: -len(pair[0]))))

    def hide(self, message: str) -> str:
        """Return a message without the folders' paths."""
        for path, name in self.names:
            message = message.replace(path, name)
        return message
