"""Published figures: for each collection its files, the command, and the means that it gave."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from eval.measures import parse_measures
from eval.systems import split_names
from indexer.errors import ClozeError

EXPECTED = Path(__file__).with_name("expected")
_KEYS = ("title", "source", "files", "command", "tolerance", "expected")
_COMMAND = "cloze eval {data}/"
_OPTIONS = ("--systems", "--measures", "--model", "--split")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A collection, the command that evaluates on it, and the means that it gave.

    `folder` is the collection's below the data's folder, `files` the SHA-256 of its files by their
    path in it; `means` is by system and measure, `tolerance` how far off a mean may be.
    """

    name: str
    title: str
    source: str
    folder: str
    files: Mapping[str, str]
    command: str
    options: Mapping[str, str]
    means: Mapping[str, Mapping[str, float]]
    tolerance: float

    @property
    def systems(self) -> list[str]:
        """The names of the command's systems."""
        return split_names(self.options["--systems"])


def read_expectations(folder: Path) -> dict[str, Expectation]:
    """Read every file of expectations, by its name without suffix.

    Raises:
        ClozeError: a file is not what it should be (it is named, with the key), or there is none.
    """
    found = {path.stem: read_expectation(path) for path in sorted(folder.glob("*.yaml"))}
    if not found:
        raise ClozeError(f"{folder} holds no expected figures; install cloze-search again")
    return found


def choose(known: Mapping[str, Expectation], names: Sequence[str]) -> list[Expectation]:
    """Return the expectations that are named, each once, else all.

    Raises:
        ClozeError: a name is not known; the nearest is given.
    """
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ClozeError(f"nothing is expected of {name!r}, but of {', '.join(known)}{hint}")
    return [known[name] for name in dict.fromkeys(names or known)]


def read_expectation(path: Path) -> Expectation:
    """Read one file of expectations.

    Raises:
        ClozeError: it is not YAML, a key is missing, unknown or has a value of the wrong kind, the
            command can't be read, or a figure is of no system or measure of the command.
    """
    content = _mapping(path, "the file", _parse(path))
    for key in _KEYS:
        if key not in content:
            raise ClozeError(f"{path}: {key} is missing; it needs {', '.join(_KEYS)}")
    for key in content:
        if key not in _KEYS:
            raise ClozeError(f"{path}: {key!r} is not known; choose from {', '.join(_KEYS)}")
    command = " ".join(_text(path, "command", content["command"]).split())
    folder, options = _read_command(path, command)
    expectation = Expectation(
        name=path.stem,
        title=_text(path, "title", content["title"]),
        source=_text(path, "source", content["source"]),
        folder=folder,
        files=_files(path, content["files"]),
        command=command,
        options=options,
        means={
            system: {
                measure: _number(path, f"expected: {system}: {measure}", mean)
                for measure, mean in _mapping(path, f"expected: {system}", means).items()
            }
            for system, means in _mapping(path, "expected", content["expected"]).items()
        },
        tolerance=_number(path, "tolerance", content["tolerance"]),
    )
    _check_means(path, expectation)
    return expectation


def _parse(path: Path) -> object:
    try:
        parsed: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClozeError(f"{path}: {error.strerror or error}; check the path") from None
    # A date that there is not is a ValueError, as is what is not UTF-8.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ClozeError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    return parsed


def _read_command(path: Path, command: str) -> tuple[str, dict[str, str]]:
    """Return the collection's folder and the options of a command line of `cloze eval`."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ClozeError(f"{path}: command is {command!r}: {error}; close the quotes") from None
    if not command.startswith(_COMMAND) or len(words) % 2 == 0:
        raise ClozeError(
            f"{path}: command is {command!r}; write {_COMMAND}FOLDER and options with their values"
        )
    options = dict(zip(words[3::2], words[4::2], strict=True))
    for option in options:
        if option not in _OPTIONS:
            raise ClozeError(f"{path}: command has {option!r}; choose from {', '.join(_OPTIONS)}")
    for option in ("--systems", "--measures"):
        if option not in options:
            raise ClozeError(f"{path}: command lacks {option}; name what the figures are of")
    folder = words[2].removeprefix("{data}/")
    _check_below(path, "command", folder)
    return folder, options


def _check_below(path: Path, key: str, name: str) -> None:
    """Check that a path of the file leads to somewhere below the data's folder."""
    parts = PurePosixPath(name)
    if not parts.parts or parts.is_absolute() or ".." in parts.parts:
        raise ClozeError(f"{path}: {key} names {name!r}; write a path below {{data}}, without ..")


def _check_means(path: Path, expectation: Expectation) -> None:
    """Check that the figures are of the command's systems, all of them, and of its measures."""
    systems = expectation.systems
    measures = parse_measures([expectation.options["--measures"]])
    if set(expectation.means) != set(systems):
        raise ClozeError(
            f"{path}: expected has the systems {', '.join(expectation.means) or 'none'}, the "
            f"command {', '.join(systems)}; make them the same"
        )
    for system, means in expectation.means.items():
        for measure in means:
            if measure not in measures:
                raise ClozeError(
                    f"{path}: expected: {system} has {measure!r}, the command measures "
                    f"{', '.join(measures)}; make them agree"
                )
        if not means:
            raise ClozeError(f"{path}: expected: {system} has no figure; give it one")


def _files(path: Path, value: object) -> dict[str, str]:
    files = _mapping(path, "files", value)
    for name, digest in files.items():
        _check_below(path, "files", name)
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ClozeError(f"{path}: files: {name} is {digest!r}; write the file's SHA-256")
    return files


def _mapping(path: Path, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ClozeError(f"{path}: {key} is {value!r}; write names and values")
    return value


def _text(path: Path, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ClozeError(f"{path}: {key} is {value!r}; write a text")
    return value


def _number(path: Path, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ClozeError(f"{path}: {key} is {value!r}; write a number from 0 to 1")
    return float(value)
