"""What a server has promised of each document, and whether it is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Promises:
    """Of each id the texts that it may have now; None among them is: it may be gone.

    What was acknowledged is the only one; each write since then that nobody answered adds its own.
    """

    allowed: dict[str, set[str | None]] = field(default_factory=dict)

    def known(self) -> list[str]:
        """The ids that were ever written, in order."""
        return sorted(self.allowed)

    def may_be_gone(self, id: str) -> bool:
        """Tell whether a server may say that there is no such document."""
        return None in self.allowed.get(id, {None})

    def asked(self, id: str, text: str | None) -> None:
        """Note a write, or a deletion, as it is sent: from now on it may be there."""
        self.allowed.setdefault(id, {None}).add(text)

    def acknowledged(self, id: str, text: str | None) -> None:
        """Note the answer to it: from now on it is there."""
        self.allowed[id] = {text}

    def broken(self, found: Mapping[str, str]) -> list[str]:
        """Say of which ids what is stored is not what was promised, a line each."""
        lines = [
            f"{id} is {found.get(id)!r}, promised {sorted(map(str, texts))}"
            for id, texts in self.allowed.items()
            if found.get(id) not in texts
        ]
        return lines + [f"{id} was never written" for id in found if id not in self.allowed]

    def settle(self, found: Mapping[str, str]) -> int:
        """Take what is stored as certain: who wrote it is dead; return how many were open."""
        unsettled = [id for id, texts in self.allowed.items() if len(texts) > 1]
        for id in unsettled:
            self.allowed[id] = {found.get(id)}
        return len(unsettled)


def merged(several: Sequence[Promises]) -> Promises:
    """Put together the promises of clients that write documents of their own."""
    return Promises({id: texts for each in several for id, texts in each.allowed.items()})
