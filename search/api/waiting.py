"""Waiting for what the service promised: no longer than the deadline, nor for who has left."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import TypeVar

from starlette.requests import Request
from starlette.types import Receive

from search.api.errors import ApiError, ClientLeft, late
from search.api.state import deadline_of, service_of

Result = TypeVar("Result")


async def settled(
    request: Request,
    future: "Future[Result]",
    late: Callable[[float], ApiError] = late,
) -> Result:
    """Wait for a service's future; who leaves, or is too late, frees the place in its queue.

    The request's body must have been read. `late` makes the 504 from the timeout's seconds.

    Raises:
        ApiError: 504, the deadline passed.
        ClientLeft: the connection was closed.
        ClozeError: as the future says.
    """
    loop = asyncio.get_running_loop()
    waiter = asyncio.wrap_future(future)
    # Cancelling the waiter cancels the future, which is not run then if it has not begun.
    timer = loop.call_later(max(0.0, deadline_of(request) - monotonic()), waiter.cancel, "late")
    watcher = loop.create_task(_gone(request.receive))
    watcher.add_done_callback(lambda task: None if task.cancelled() else waiter.cancel("gone"))
    try:
        return await waiter
    except asyncio.CancelledError as cancelled:
        reason = cancelled.args[0] if cancelled.args else None
        if reason == "late":
            raise late(service_of(request).settings.timeout) from None
        if reason == "gone":
            raise ClientLeft from None
        raise
    finally:
        timer.cancel()
        watcher.cancel()


async def _gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
