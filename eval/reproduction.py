"""Published figures run again: what was seen on a collection, and what is seen now."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from eval.corpus_index import Bars, no_bars
from eval.expectations import Expectation
from eval.experiment import Plan, run_experiment

# Tolerances are written with few digits, and differences of floats are not.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One mean: as expected, and as it came out."""

    system: str
    measure: str
    expected: float
    got: float

    @property
    def difference(self) -> float:
        """What came out minus what was expected."""
        return self.got - self.expected

    def within(self, tolerance: float) -> bool:
        """Tell whether the difference is at most the tolerance; a NaN never is."""
        return abs(self.difference) <= tolerance + _ROUNDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came out of an expectation's command: its figures, and what the user should know."""

    figures: tuple[Figure, ...]
    notices: tuple[str, ...]


def missing_files(expectation: Expectation, data: Path) -> list[str]:
    """Return the collection's files that are not below the data's folder."""
    place = data / expectation.folder
    return [name for name in expectation.files if not (place / name).is_file()]


def other_files(expectation: Expectation, data: Path) -> list[str]:
    """Return the collection's files whose bytes are not those that the figures are of."""
    place = data / expectation.folder
    return [name for name, digest in expectation.files.items() if _sha256(place / name) != digest]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reproduce(
    expectation: Expectation,
    data: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    bars: Bars = no_bars,
) -> Reproduction:
    """Run the command of an expectation, without timing, and set its means beside the expected.

    Everything is searched anew, also what an earlier evaluation has kept.

    Raises:
        ClozeError: the collection can't be read, or the model can't be had.
    """
    experiment = run_experiment(_plan(expectation, data), device=device, threads=threads, bars=bars)
    got = {system.name: system.means for system in experiment.systems}
    figures = tuple(
        Figure(system=system, measure=measure, expected=mean, got=got[system][measure])
        for system, means in expectation.means.items()
        for measure, mean in means.items()
    )
    return Reproduction(figures=figures, notices=experiment.notices)


def _plan(expectation: Expectation, data: Path) -> Plan:
    options = expectation.options
    return Plan(
        collection=str(data / expectation.folder),
        model=options.get("--model"),
        systems=expectation.systems,
        measures=[options["--measures"]],
        split=options.get("--split"),
        timed=False,
        reuse=False,
    )
