"""`docs/api.md` as a user reads it: its examples run in order, its tables agree with the code."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from typer.main import get_command

import cloze
from search.api.app import create_app
from search.api.metrics import Metrics
from search.api.settings import ApiSettings
from search.service.service import Service
from search.service.settings import Limits, ServiceSettings

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PORT = "8000"
SERVE = "cloze serve "
INDEX = "cloze index wings wings.jsonl"
VARIED = ("took_ms", "model", "input_tokens", "prompt_tokens", "total_tokens")
# Each command of an example must do as it says; an error's answer is 4xx, which curl prints.
SHELL = """
set -euo pipefail
cloze() {{ "{python}" "{root}/cloze.py" "$@"; }}
curl() {{ command curl -sS "$@"; echo; }}
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of the page: its language, what is in it, and the line where it begins."""

    language: str
    text: str
    line: int


def blocks() -> list[Block]:
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        found.append(Block(match[1], match[2], PAGE.count("\n", 0, match.start()) + 1))
    return found


class Reader:
    """Runs examples in an empty folder, each `cloze serve` as a process of its own."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder = folder
        self._model = model
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        self._server: subprocess.Popen[str] | None = None
        self._shell = SHELL.format(python=sys.executable, root=ROOT)

    def run(self, block: Block) -> str:
        """Run a block, and return what it printed."""
        text = block.text.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{self._port}")
        # In place of a model that is fetched from the hub.
        text = text.replace(INDEX, f"{INDEX} --model {self._model}")
        if text.startswith(SERVE):
            self.stop()
            self._start(text.strip())
            return ""
        command = (
            ["bash", "-c", self._shell + text] if block.language == "sh"
            else [sys.executable, "-c", text]
        )  # fmt: skip
        ran = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert ran.returncode == 0, f"docs/api.md:{block.line}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def _start(self, command: str) -> None:
        arguments = [*command.split()[1:], "--port", self._port, "--no-access-log"]
        self._server = subprocess.Popen(
            [sys.executable, str(ROOT / "cloze.py"), *arguments], cwd=self._folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until = time.monotonic() + 60
        while not self._ready():
            assert self._server.poll() is None, self._server.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health/ready", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def stop(self) -> None:
        """Stop the server as the page says, with SIGTERM; it ends with 0."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            told, log = self._server.communicate(timeout=30)
            assert self._server.returncode == 0, log
            assert f"http://127.0.0.1:{self._port}" in told
            self._server = None

    def kill(self) -> None:
        """End what is left after a failure."""
        if self._server is not None:
            self._server.kill()
            self._server.communicate()


@pytest.fixture
def reader(tiny_model: Path, tmp_path: Path) -> Iterator[Reader]:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("the examples need bash and curl")
    reader = Reader(tmp_path, tiny_model)
    yield reader
    reader.kill()


def test_every_example_does_what_it_says(reader: Reader) -> None:
    printed = ""
    ran = 0
    for block in blocks():
        if block.language == "json":
            shown, found = json.loads(block.text), json.loads(printed.splitlines()[-1])
            assert _stable(found) == _stable(shown), f"docs/api.md:{block.line}: {found}"
            continue
        assert block.language in ("sh", "python"), f"docs/api.md:{block.line}"
        printed = reader.run(block)
        ran += 1
    assert ran > 10
    reader.stop()


def _stable(value: object) -> object:
    """Return JSON without what another model, machine or request changes: only its names stay."""
    if isinstance(value, dict):
        return {name: None if name in VARIED else _stable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_stable(each) for each in value]
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return re.sub("^[0-9a-f]{16}$", "a request's id", value)
    return value


def rows(title: str) -> list[list[str]]:
    """Return the cells of the first table of a section, without its head."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    table = lines[: next((n for n, each in enumerate(lines) if n and "---" in each), 0) + 1]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[len(table) :]]
    return cells


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, object]]]:
    """What the app documents of itself, by path and method."""
    service = Service(tmp_path_factory.mktemp("none"), ServiceSettings())
    paths: dict[str, dict[str, dict[str, object]]]
    paths = create_app(service, ApiSettings(access_log=False)).openapi()["paths"]
    return paths


def test_every_path_is_in_the_table(openapi: dict[str, dict[str, dict[str, object]]]) -> None:
    head = PAGE.split("\n## Search\n")[0]
    for path, methods in openapi.items():
        assert f"{path}`" in head or f"{path}?" in head, path
        for method in methods:
            assert method.upper() in head


def test_every_status_is_in_the_table(openapi: dict[str, dict[str, dict[str, object]]]) -> None:
    documented = {
        status
        for methods in openapi.values()
        for operation in methods.values()
        for status in operation["responses"]  # type: ignore[attr-defined]
        if int(status) >= 400
    }
    listed = {row[0] for row in rows("Errors")}
    # What the routing itself answers is no operation's.
    assert documented | {"405"} == listed


def test_every_limit_is_in_the_table() -> None:
    listed = {row[0].strip("`"): row[1].replace(",", "") for row in rows("Limits")}
    limits = {
        f"--max-{field.name.replace('_', '-')}": str(getattr(Limits(), field.name))
        for field in fields(Limits)
    }
    settings = ServiceSettings()
    expected = limits | {
        "--queue": str(settings.queue), "--timeout": f"{settings.timeout:g}", "--rate": "none"
    }  # fmt: skip
    assert listed == expected
    command = get_command(cloze.app).commands["serve"]  # type: ignore[attr-defined]
    flags = {flag: option for option in command.params for flag in option.opts}
    for flag in listed:
        assert flags[flag].envvar == "CLOZE_" + flag.removeprefix("--").replace("-", "_").upper()


def test_every_option_names_its_variable() -> None:
    command = get_command(cloze.app).commands["serve"]  # type: ignore[attr-defined]
    options = {option.opts[0]: option for option in command.params if option.opts[0][0] == "-"}
    assert {"--threads", "--precision", "--max-top"} <= options.keys()
    for flag, option in options.items():
        variable = "CLOZE_" + flag.removeprefix("--").replace("-", "_").upper()
        named = option.envvar or re.search(r"\[env var: (\w+)", option.help)[1]  # type: ignore[index]
        assert named == {"CLOZE_API_KEY": "CLOZE_API_KEY_FILE"}.get(variable, variable)


def test_every_metric_is_in_the_table() -> None:
    made = re.findall(rb"^# HELP (\w+)", Metrics().text(), re.MULTILINE)
    own = {name.decode() for name in made if name.startswith(b"cloze_")}
    section = PAGE.split("| metric |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(cloze_\w+)`", section)) == own


def test_the_extras_of_the_page_are_there() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"the extra `(\w+)`", PAGE):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    assert os.path.exists(ROOT / "docs" / "cli.md")
