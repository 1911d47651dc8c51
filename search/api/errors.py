"""Why a request is not answered as asked: one sentence, a status, a code, and never a path."""

from collections.abc import Mapping
from math import ceil

import orjson

from indexer.errors import ClozeError, RequestError
from indexer.filters.tree import FilterError
from indexer.lock import LockedError
from search.api.names import Names
from search.service.errors import BusyError, LateError, StoppingError

# The code and the type of an error where it names none of its own.
KINDS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_body", "invalid_request_error"),
    401: ("unauthorized", "authentication_error"),
    403: ("forbidden", "permission_error"),
    404: ("not_found", "not_found_error"),
    405: ("method_not_allowed", "invalid_request_error"),
    408: ("body_timeout", "invalid_request_error"),
    413: ("limit_exceeded", "invalid_request_error"),
    415: ("unsupported_media_type", "invalid_request_error"),
    421: ("unknown_host", "invalid_request_error"),
    422: ("invalid_request", "invalid_request_error"),
    429: ("overloaded", "rate_limit_error"),
    431: ("headers_too_large", "invalid_request_error"),
    500: ("internal_error", "server_error"),
    503: ("unavailable", "server_error"),
    504: ("timeout", "server_error"),
}


class ApiError(Exception):
    """A refusal: `status`, `message` in one sentence, `param` the part of the request at fault.

    `code` and `type` are words for programs; `headers` go with the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse with a status and a sentence; the code is the status's own where none is given."""
        super().__init__(message)
        usual, self.type = KINDS.get(status, ("invalid_request", "invalid_request_error"))
        self.status = status
        self.message = message
        self.code = code or usual
        self.param = param
        self.headers = dict(headers or {})

    def body(self, id: str) -> bytes:
        """Return the JSON of the answer, for the request of this id."""
        return orjson.dumps({"error": self.content(id)})

    def content(self, id: str) -> dict[str, str | None]:
        """Return what the answer says of the error."""
        return {
            "code": self.code,
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "id": id,
        }


class ClientLeft(Exception):
    """Whoever asked has closed the connection: there is nobody to answer."""


def busy(message: str, seconds: float, *, code: str = "overloaded") -> ApiError:
    """Return a 429 that tells after how many seconds to come again."""
    return ApiError(429, message, code=code, headers={"Retry-After": str(max(1, ceil(seconds)))})


def unavailable(message: str) -> ApiError:
    """Return a 503 that tells to come again soon."""
    return ApiError(503, message, headers={"Retry-After": "1"})


def late(seconds: float) -> ApiError:
    """Return the 504 of a request whose time is over."""
    return ApiError(
        504, f"the answer took longer than {seconds:g} s (--timeout); ask for less, or come again"
    )


def late_write(seconds: float) -> ApiError:
    """Return the 504 of a write whose time is over, which has perhaps begun and will be made."""
    return ApiError(
        504,
        f"the write took longer than {seconds:g} s (--timeout) and may be made all the same; see "
        "what is there, or send it again",
    )


def internal() -> ApiError:
    """Return the 500 that tells nothing but where to look."""
    return ApiError(500, "the server failed; its log has the reason under this id")


def refusal(error: ClozeError, names: Names, timeout: float) -> ApiError:
    """Return how a client hears of what the service or the engine refused.

    What is not the request's fault is the server's: a 500, whose reason only the log has.
    """
    match error:
        case BusyError():
            return busy(names.hide(str(error)), error.seconds)
        case LateError():
            return late(timeout)
        case StoppingError():
            return unavailable("the service is stopping; come again when it is back")
        case LockedError():
            return unavailable(
                "another process is writing to the index; send the write again later"
            )
        case FilterError():
            return ApiError(422, names.hide(str(error)), code="invalid_filter", param="filter")
        case RequestError():
            return ApiError(422, names.hide(str(error)), param=error.param)
    return internal()


def within(count: int, most: int, *, param: str, flag: str, counted: str = "") -> None:
    """Refuse what goes beyond a limit, naming the limit and the flag that moves it.

    `counted` tells what there are too many of; without it the parameter itself is the number.

    Raises:
        ApiError: 422, limit_exceeded.
    """
    if count <= most:
        return
    found = f"has {count:,} {counted}" if counted else f"is {count:,}"
    raise ApiError(
        422, f"{param} {found}; at most {most:,} ({flag})", code="limit_exceeded", param=param
    )
