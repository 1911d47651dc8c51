"""A browser, and a service for it to look at, whose documents are meant to break a page."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from search.index import Index
from search.service.service import Service
from search.service.settings import ServiceSettings
from tests.search.web.served import Served
from tests.search.web.visits import PATIENCE_MS, WATCH, Visit, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = (
    "--headless", "--no-sandbox", "--disable-background-networking", "--disable-gpu",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

SCRIPT = "<script>document.title = 'taken'</script>"
IMAGE = "<img src=x onerror=\"document.title = 'taken'\">"
LONG_WORD = "Donaudampfschifffahrt" * 60


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """One browser for a file of tests, closed after the last of them.

    Not later: Playwright's loop would stand in the way of every asyncio.run of the main thread.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium on the PATH")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def idle() -> "list[Page]":
    """Pages that nobody is visiting."""
    return []


@pytest.fixture
def visit(browser: "Browser", idle: "list[Page]") -> Iterator[Visitor]:
    """Make visits to services; at the end none of them may have done what a page must not.

    A page without options is taken over, emptied, from an earlier visit where one is left.
    """
    made: list[Visit] = []

    def make(base: str, *, failures: bool = False, **options: object) -> Visit:
        page = idle.pop() if idle and not options else _new_page(browser, options)
        visited = Visit(page, base, failures, spent=failures or bool(options))
        visited.watch()
        made.append(visited)
        return visited

    yield make
    faults = [visited.faults() for visited in made]
    for visited in made:
        if visited.spent:
            visited.page.context.close()
        else:
            visited.leave()
            idle.append(visited.page)
    assert faults == [[] for _ in made]


def _new_page(browser: "Browser", options: dict[str, object]) -> "Page":
    context: dict[str, Any] = {
        "viewport": {"width": 1280, "height": 900}, "locale": "en-US", "color_scheme": "light",
        **options,
    }  # fmt: skip
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(WATCH)
    return page


@pytest.fixture(scope="session")
def awkward() -> list[Document]:
    """Ships on the water, and documents with markup, astral characters or very long words."""
    ships = [
        Document(
            id=f"ship/{number}",
            title=f"Ship {number} on the water",
            text=f"The ship {'under water ' * (number % 5)}will sail in year {1990 + number}. "
            + "A long day at sea with little wind and much rain. " * (number % 7),
            metadata={
                "year": 1990 + number % 12,
                "lang": "en" if number % 3 else "de",
                "tags": ["sea", "deep"] if number % 4 == 0 else ["sea"],
                "open": number % 2 == 0,
            },
        )
        for number in range(24)
    ]
    emoji = (
        "😀🚢 The 𝔴ide 🌊 and windless ocean 🌊🌊. " * 8
        + "Here a 🧑‍🚀 looks for laminar flow 🌊 in the glass 🚀. "
        + "🌊 more. " * 40
    )
    return [
        *ships,
        Document(
            id="evil/../id?&#%",
            title=f"Water {SCRIPT}",
            text=f"Supersonic water {IMAGE} and {SCRIPT} in the text. Supersonic again.",
            metadata={SCRIPT: IMAGE, "lang": "en"},
        ),
        Document(
            id="emoji",
            title="Boats 😀 of every kind",
            text=emoji,
            metadata={"lang": "en", "tags": ["😀", "sea"]},
        ),
        Document(
            id="chinese",
            title="用搜索引擎",
            text="搜索引擎用向量。天地水火山风雨日月。",
            metadata={"lang": "zh"},
        ),
        Document(id="long", title=LONG_WORD, text=f"A quiet lake {LONG_WORD} and more lake."),
        Document(id="bare", text="Nobody gave this plate a title."),
    ]


@pytest.fixture(scope="session")
def folder(
    awkward: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index of them, with token vectors so that late interaction is quick."""
    folder = tmp_path_factory.mktemp("page") / "harbour"
    settings = Settings(model=str(tiny_model), passage_overlap=8, token_vectors=True)
    with Index.open(folder, settings) as index:
        index.add(awkward)
    return folder


@pytest.fixture(scope="session")
def harbour(folder: Path) -> Iterator[Service]:
    """A service of that index, for any number of servers."""
    service = Service(folder, ServiceSettings())
    service.start()
    yield service
    service.close(10)


@pytest.fixture(scope="session")
def service(harbour: Service) -> Iterator[str]:
    """The address of that service."""
    with Served(harbour) as served:
        yield served.base
