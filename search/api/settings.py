"""What the HTTP side of a service is started with."""

from dataclasses import dataclass
from ipaddress import ip_address

from indexer.errors import ClozeError
from search.api.keys import Keys

_LOCAL_NAMES = ("localhost",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Where the service listens, whom it answers, and how much it tells.

    `keys` None asks for no key. `allowed_hosts` are names in a Host header beside the loopback ones
    and `host`; "*" is any. `cors` are origins, scheme and all, whose pages may ask; "*" is any.
    `rate` is requests a second of one key, or of one address where there are no keys. `read_only`
    refuses every write. `body_seconds` is how long a request's body may take to arrive.
    `max_connections` None is as many as the limit of open files has room for.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keys: Keys | None = None
    insecure: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    rate: float | None = None
    access_log: bool = True
    read_only: bool = False
    body_seconds: float = 10.0
    max_connections: int | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    def check(self) -> None:
        """Check that the settings go together, before anything is loaded.

        Raises:
            ClozeError: another machine, or any web page, could reach a service without keys, or a
                number or an origin makes no sense.
        """
        if not 0 <= self.port <= 65_535:
            raise ClozeError(f"--port is {self.port}; it must lie between 0 and 65535")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise ClozeError(f"--rate is {self.rate:g}; it must be a finite number above 0")
        for origin in self.cors:
            _check_origin(origin)
        if (opened := self._opened()) and not (self.insecure or self.keys):
            raise ClozeError(
                f"{opened}, and there are no keys; make one with: cloze key add FILE, and give it "
                "as --api-key FILE, or say --insecure"
            )

    def _opened(self) -> str:
        """Return what lets strangers ask, in words; empty where nothing does."""
        if not self.loopback:
            return f"--host {self.host} can be reached from other machines"
        if "*" in self.cors:
            return "--cors '*' lets any web page ask"
        if "*" in self.allowed_hosts:
            return "--allowed-host '*' lets any web page ask that names itself as this machine"
        return ""


def is_loopback(host: str) -> bool:
    """Tell whether a host's name, or address, is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in _LOCAL_NAMES


def _check_origin(origin: str) -> None:
    scheme, separator, rest = origin.partition("://")
    plain = bool(rest) and not set(rest) & set("/?#@ ")
    if origin != "*" and not (separator and scheme in ("http", "https") and plain):
        raise ClozeError(
            f"--cors {origin} is no origin; write scheme, host and port alone, as in "
            "https://example.org:8443"
        )
