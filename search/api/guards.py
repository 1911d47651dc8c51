"""Who may ask: the Host that was meant, the key, the page that asks, and how often."""

from collections.abc import Iterable
from ipaddress import ip_address
from math import ceil

from starlette.types import ASGIApp, Receive, Scope, Send

from search.api.errors import ApiError, busy
from search.api.exchange import Exchange
from search.api.keys import Keys
from search.api.paths import is_public, takes_json, tells, writes
from search.api.rate import Rate

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Whose own page asks, or nobody's: a bookmark, or what is no browser.
_OWN_SITES = (b"", b"same-origin", b"none")
_ANY = "*"


class HostGuard:
    """Answers only for its own names: a foreign one may be a page's way around the same origin.

    A page may let its own name point at this machine (DNS rebinding), and would be same-origin.
    An address in numbers can't be made to point elsewhere.
    """

    def __init__(
        self, app: ASGIApp, *, host: str, loopback: bool, keyed: bool, allowed: Iterable[str]
    ) -> None:
        """Answer for loopback names, for `host` and for `allowed`.

        Where other machines may ask with keys, and no name is listed, any will do: such a page has
        no key.
        """
        self._app = app
        self._names = {*_LOOPBACK, host.lower(), *(name.lower() for name in allowed)}
        self._addresses = not loopback
        self._any = _ANY in self._names or (keyed and not loopback and not list(allowed))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 400 or 421."""
        exchange: Exchange = scope["exchange"]
        host = exchange.headers.get(b"host")
        if host is None:
            if scope["http_version"] != "1.0":
                raise ApiError(400, "the header Host is missing", code="missing_header")
        elif not self._any and not self._knows(host.decode("latin-1").lower()):
            raise ApiError(
                421, "the service does not answer for this Host; name it with --allowed-host"
            )
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        name = host if host in self._names else _without_port(host)
        return name in self._names or (self._addresses and _is_address(name))


class KeyGuard:
    """Asks for a key where keys are configured, and for one that may write where it matters."""

    def __init__(self, app: ASGIApp, *, keys: Keys | None, read_only: bool) -> None:
        """Ask for one of these keys; without any, an Authorization header is not looked at."""
        self._app = app
        self._keys = keys
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 401 or 403."""
        path, writing = scope["path"], writes(scope["method"], scope["path"])
        if self._keys is not None and not is_public(path):
            self._check(scope["exchange"], self._keys, writing=writing)
        if writing and self._read_only:
            raise ApiError(403, "the service is read-only (--read-only)", code="read_only")
        await self._app(scope, receive, send)

    def _check(self, exchange: Exchange, keys: Keys, *, writing: bool) -> None:
        secret = _secret(exchange.headers)
        key = keys.find(secret) if secret else None
        if key is None:
            raise ApiError(
                401, "the key is unknown" if secret else "a key is missing; send it as "
                "Authorization: Bearer KEY or X-API-Key: KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        exchange.key = key
        if writing and not key.writes:
            raise ApiError(403, "the key may only read; this needs one that may write")


class OriginGuard:
    """Keeps foreign web pages from asking, and lets those ask that are named (CORS).

    From reading, too: they can't see the answer, but could keep the service at work.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        """Let the pages of these origins ask; without any, only the service's own page may."""
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 403 or 415."""
        exchange: Exchange = scope["exchange"]
        headers, method = exchange.headers, scope["method"]
        guarded = method not in ("GET", "HEAD") or tells(scope["path"])
        if guarded and self._is_foreign(headers):
            raise ApiError(
                403, "a page of a foreign origin may not ask this; name it with --cors",
                code="foreign_origin",
            )  # fmt: skip
        if takes_json(method, scope["path"]):
            _check_type(headers)
        await self._app(scope, receive, send)

    def _is_foreign(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a page asks that is neither the service's own nor named."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        if _ANY in self._origins or origin in self._origins:
            return False
        own = not origin or _authority(origin) == headers.get(b"host", b"").lower()
        return not own or headers.get(b"sec-fetch-site", b"") not in _OWN_SITES


class RateGuard:
    """Lets each key, or each address where there are no keys, ask so many times a second."""

    def __init__(self, app: ASGIApp, *, rate: Rate) -> None:
        """Count by this rate; what needs no key is not counted."""
        self._app = app
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 429."""
        if not is_public(scope["path"]):
            exchange: Exchange = scope["exchange"]
            client = scope.get("client")
            who = exchange.key.fingerprint if exchange.key else client[0] if client else ""
            seconds = self._rate.take(who)
            if seconds:
                raise busy(
                    f"more than {self._rate.rate:g} requests a second (--rate); come again in "
                    f"{ceil(seconds)} s", seconds, code="rate_limited",
                )  # fmt: skip
        await self._app(scope, receive, send)


def _secret(headers: dict[bytes, bytes]) -> bytes:
    scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return secret.strip()
    return headers.get(b"x-api-key", b"").strip()


def _check_type(headers: dict[bytes, bytes]) -> None:
    """Demand JSON: a page can send a form anywhere without asking, and JSON it can't."""
    declared = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if declared != b"application/json":
        raise ApiError(415, "the Content-Type must be application/json")


def _authority(origin: str) -> bytes:
    """Return the host and port of an origin, as a Host header has them."""
    return origin.partition("://")[2].lower().encode("latin-1")


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdecimal() else host


def _is_address(name: str) -> bool:
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
