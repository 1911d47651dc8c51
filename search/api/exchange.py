"""What is known of one request while it is answered, from its head to its log line."""

import re
import secrets
from dataclasses import dataclass, field
from time import monotonic

from search.api.keys import Key

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and its answer.

    `came` is on the clock of `time.monotonic`; `headers` are the request's, one value a name;
    `extra` are headers of the answer that a guard adds. `code` is that of the error, if one was
    answered, and `stages` milliseconds by stage.
    """

    id: str
    headers: dict[bytes, bytes]
    came: float = field(default_factory=monotonic)
    key: Key | None = None
    status: int = 0
    sent: int = 0
    code: str | None = None
    extra: list[tuple[bytes, bytes]] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)


def id_of(headers: dict[bytes, bytes]) -> str:
    """Return the client's own id of a request, where it is a plain one, or a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _ID.fullmatch(given) else secrets.token_hex(8)
