"""A page in a browser, watched for all that it must not do."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from playwright._impl._sync_base import EventContextManager
    from playwright.sync_api import ConsoleMessage, Error, Page, Request, Response

# What a page does in a moment takes longer where many tests share two cores.
PATIENCE_MS = 15_000

# Whatever the page shows first, once it knows what there is to search.
_DRAWN = "#settings > *, #message > *, #hits > *, #trouble > *, #key-place > *"

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


# Without slots: Playwright keeps its wrappers of handlers on the object that they belong to.
@dataclass
class Visit:
    """A page of a service, and what came of it.

    `failures` lets answers fail that the test makes fail: Chromium tells of each. A page that is
    `spent` is not as it was, or its server is gone, and so it is not kept for another visit.
    """

    page: "Page"
    base: str
    failures: bool = False
    spent: bool = False
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)

    def watch(self) -> None:
        """Begin to note errors, violations of the policy, and what is asked of whom."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._fail)
        self.page.on("request", self._see)

    def leave(self) -> None:
        """Leave a page behind that does nothing and tells this visit nothing any more."""
        self.page.unroute_all()
        self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        # Of the same site, since for another one the browser begins a process.
        self.page.goto(f"{self.base}/health/live")
        self.page.remove_listener("console", self._hear)
        self.page.remove_listener("pageerror", self._fail)
        self.page.remove_listener("request", self._see)

    def faults(self) -> list[str]:
        """Return what the page did and must not have done."""
        violations: list[str] = self.page.evaluate("window.violations")
        return [*self.errors, *self.foreign, *violations]

    def open(self, query: str = "") -> "Visit":
        """Go to an address of the page and wait until it knows its index."""
        self.page.goto(f"{self.base}/{query}")
        self.page.wait_for_selector(_DRAWN, state="attached")
        return self

    def type(self, text: str) -> None:
        """Have this text in the box, and wait for the answer to it."""
        with self.answered():
            self.page.locator("#query").fill(text)

    def answered(self) -> "EventContextManager[Response]":
        """Wait for the answer to a search that the block makes."""
        return self.page.expect_response("**/v1/search")

    def own_clock(self) -> None:
        """Give the page a clock that can be put forward."""
        self.spent = True
        self.page.clock.install(time=0)

    def stop_the_clock(self) -> None:
        """From now on the page's time goes on by `page.clock.run_for` alone."""
        self.own_clock()
        self.page.clock.pause_at(3_600_000)

    def titles(self) -> list[str]:
        """Return the titles of the hits in the list."""
        return self.page.locator("#hits a.open").all_inner_texts()

    def address(self) -> dict[str, str]:
        """Return the fields of the page's address."""
        return dict(parse_qsl(urlsplit(self.page.url).query, keep_blank_values=True))

    def focused(self) -> str:
        """Return the text, or the id, of what has the focus."""
        found: str = self.page.evaluate(
            "document.activeElement.id || document.activeElement.innerText"
        )
        return found

    def _hear(self, message: "ConsoleMessage") -> None:
        failure = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not (failure and self.failures):
            self.errors.append(message.text)

    def _fail(self, error: "Error") -> None:
        self.errors.append(str(error))

    def _see(self, request: "Request") -> None:
        if not request.url.startswith((self.base, "data:")):
            self.foreign.append(request.url)
        if request.post_data and urlsplit(request.url).path == "/v1/search":
            self.searches.append(json.loads(request.post_data))


Visitor = Callable[..., Visit]
