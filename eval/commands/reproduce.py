"""`cloze reproduce`: run the evaluations whose figures are published, and compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.commands.extras import check_installed
from indexer.commands.console import (
    AsJson,
    Device,
    Threads,
    emit,
    notice,
    progress_bar,
    resolve_device,
    tell,
)

if TYPE_CHECKING:
    from eval.expectations import Expectation
    from eval.reproduction import Figure


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which [default: all present]")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(envvar="CLOZE_DATA", help="The folder that holds the collections' folders"),
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="List what can be reproduced, and run nothing")
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Run evaluations with known figures again; exit 1 where a figure is outside its tolerance."""
    from indexer.threads import budget

    budget(threads)
    check_installed()
    from eval.expectations import EXPECTED, choose, read_expectations

    chosen = choose(read_expectations(EXPECTED), names or [])
    if only_list:
        _list(chosen, data, json)
        return
    folder = _named(data)
    present, absent = _present(chosen, folder, named=bool(names))
    reports = [_run(each, folder, device, threads, quiet=json) for each in present]
    if json:
        emit({"reproductions": reports, "absent": [each.name for each in absent]})
    if not all(report["reproduced"] for report in reports):
        raise typer.Exit(1)


def _list(chosen: "list[Expectation]", data: Path | None, json: bool) -> None:
    from eval.reproduction import missing_files

    reports = [
        {
            "name": each.name,
            "title": each.title,
            "source": each.source,
            "files": dict(each.files),
            "present": data is not None and not missing_files(each, data),
            "command": each.command,
        }
        for each in chosen
    ]
    if json:
        emit(reports)
        return
    for report in reports:
        tell(f"{report['name']:<10}  {'present' if report['present'] else 'absent'}")
        tell(f"  {report['title']}; {report['source']}\n  $ {report['command']}")


def _named(data: Path | None) -> Path:
    from indexer.errors import ClozeError

    if data is None:
        raise ClozeError(
            "no folder of collections was named; put their folders into one and name it with "
            "--data or CLOZE_DATA; cloze reproduce --list tells what to get"
        )
    return data


def _present(
    chosen: "list[Expectation]", data: Path, *, named: bool
) -> "tuple[list[Expectation], list[Expectation]]":
    """Split the chosen into those whose files are there and those absent, which are told."""
    from eval.reproduction import missing_files
    from indexer.errors import ClozeError

    present: list[Expectation] = []
    absent: list[Expectation] = []
    for each in chosen:
        missing = missing_files(each, data)
        (absent if missing else present).append(each)
        if missing:
            line = f"{each.name} is absent: {data / each.folder} lacks {', '.join(missing)}"
            advice = f"get {each.title} ({each.source}) and put it there in BEIR's layout"
            if named:
                raise ClozeError(f"{line}; {advice}")
            notice(f"{line}; {advice}")
    if not present:
        raise ClozeError(f"{data} holds none of the collections; see: cloze reproduce --list")
    return present, absent


def _run(
    expectation: "Expectation", data: Path, device: str, threads: int | None, *, quiet: bool
) -> dict[str, Any]:
    from eval.reproduction import other_files, reproduce

    differ = other_files(expectation, data)
    for name in differ:
        notice(
            f"{data / expectation.folder / name} is not the file that the figures are of; its "
            f"SHA-256 is another than {expectation.files[name]}"
        )
    reproduction = reproduce(
        expectation,
        data,
        device=resolve_device(device),
        threads=threads,
        bars=lambda position, unit: progress_bar(position, quiet=quiet, unit=unit),
    )
    figures = reproduction.figures
    for line in reproduction.notices:
        notice(f"{expectation.name}: {line}")
    if not quiet:
        _tell_figures(expectation, data, figures)
    return {
        "name": expectation.name,
        "command": expectation.command,
        "tolerance": expectation.tolerance,
        "files_differ": differ,
        "notices": reproduction.notices,
        "figures": [
            {
                "system": each.system,
                "measure": each.measure,
                "expected": each.expected,
                "got": each.got,
                "difference": each.difference,
                "within": each.within(expectation.tolerance),
            }
            for each in figures
        ],
        "reproduced": all(each.within(expectation.tolerance) for each in figures),
    }


def _tell_figures(expectation: "Expectation", data: Path, figures: "Sequence[Figure]") -> None:
    from shlex import quote

    tell(f"{expectation.name}: {expectation.title}")
    tell(f"  $ {expectation.command.replace('{data}', quote(str(data)))}")
    width = max(len("system"), *(len(each.system) for each in figures))
    tell(f"  {'system':<{width}} {'measure':<10} {'expected':>8} {'got':>8} {'difference':>10}")
    for each in figures:
        mark = "" if each.within(expectation.tolerance) else "  outside"
        tell(
            f"  {each.system:<{width}} {each.measure:<10} {each.expected:>8.4f} {each.got:>8.4f} "
            f"{each.difference:>+10.4f}{mark}"
        )
    outside = sum(not each.within(expectation.tolerance) for each in figures)
    tell(
        f"  {outside} of {len(figures)} figures are more than {expectation.tolerance:g} off"
        if outside
        else f"  reproduced: {len(figures)} figures, none more than {expectation.tolerance:g} off"
    )
