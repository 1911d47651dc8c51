"""`cloze eval` and `cloze compare`: which system is better, by how much, and is it luck."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

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
    from eval.results import Experiment
    from indexer.progress import Progress

_MEASURES = "nDCG@10,RR@10,AP,R@100,P@10,Success@5,Judged@10"

Measures = Annotated[str, typer.Option(help="Any ir-measures expressions; the first one decides")]
Baseline = Annotated[
    str | None,
    typer.Option(help="What the others are compared with [default: lexical, else the first]"),
]
Out = Annotated[str | None, typer.Option(help="Write the report into this folder")]
FailIfWorse = Annotated[
    str | None,
    typer.Option(
        metavar="MEASURE=LOSS",
        help="Exit 1 when a system is significantly worse than the baseline by more than LOSS",
    ),
]
DropIdentical = Annotated[
    bool, typer.Option("--drop-identical", help="Leave out documents with the id of their query")
]


def evaluate(
    collection: Annotated[
        str, typer.Argument(metavar="COLLECTION", help="BEIR or TREC folder, or ir_datasets id")
    ],
    index: Annotated[
        str | None, typer.Option(help="An index of its documents [default: built in the cache]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Checkpoint folder or hub id [default: all-MiniLM-L6-v2]")
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(
            help="rank-bm25, rank-bm25-l, rank-bm25-plus, lexical, dense, hybrid, also as "
            "'hybrid(weight=0.7)' or 'hybrid(fusion=rrf)', a TREC run file, module:function "
            "[default: rank-bm25,lexical,dense,hybrid]"
        ),
    ] = None,
    measures: Measures = _MEASURES,
    baseline: Baseline = None,
    split: Annotated[
        str | None, typer.Option(help="Whose judgements [default: test, or the only one]")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many documents of each system")] = 1000,
    out: Out = None,
    drop_identical: DropIdentical = False,
    no_timing: Annotated[
        bool, typer.Option("--no-timing", help="Leave the timing of each system out")
    ] = False,
    fail_if_worse: FailIfWorse = None,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Compare systems on a collection: quality, whether the difference is luck, and cost."""
    from indexer.threads import budget

    budget(threads)
    check_installed()
    from eval.experiment import Plan, run_experiment

    _check(out, fail_if_worse, measures)
    experiment = run_experiment(
        Plan(
            collection=collection,
            index=index,
            model=model,
            systems=None if systems is None else [systems],
            measures=[measures],
            baseline=baseline,
            split=split,
            top=top,
            timed=not no_timing,
            drop_identical=drop_identical,
        ),
        device=resolve_device(device),
        threads=threads,
        bars=_bars(quiet=json),
    )
    _deliver(experiment, out, fail_if_worse, json)


def compare(
    qrels: Annotated[str, typer.Argument(metavar="QRELS", help="Judgements, TREC or BEIR")],
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="TREC run files")],
    measures: Measures = _MEASURES,
    baseline: Baseline = None,
    out: Out = None,
    drop_identical: DropIdentical = False,
    fail_if_worse: FailIfWorse = None,
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Compare run files: quality, and whether the difference is luck."""
    from indexer.threads import budget

    budget(threads)
    check_installed()
    from eval.comparison import compare_runs

    _check(out, fail_if_worse, measures)
    experiment = compare_runs(
        qrels, runs, measures=[measures], baseline=baseline, drop_identical=drop_identical,
        bars=_bars(quiet=json),
    )  # fmt: skip
    _deliver(experiment, out, fail_if_worse, json)


def _bars(*, quiet: bool) -> "Callable[..., AbstractContextManager[Progress]]":
    def bars(position: Callable[[], float | None], unit: str) -> "AbstractContextManager[Progress]":
        return progress_bar(position, quiet=quiet, unit=unit)

    return bars


def _check(out: str | None, fail_if_worse: str | None, measures: str) -> None:
    """Find before the work what would only fail after it."""
    from pathlib import Path

    from eval.gate import parse_gate
    from eval.measures import parse_measures
    from eval.report.folder import check_folder

    if out is not None:
        check_folder(Path(out))
    if fail_if_worse is not None:
        parse_gate(fail_if_worse).check(parse_measures([measures]))


def _deliver(
    experiment: "Experiment", out: str | None, fail_if_worse: str | None, json: bool
) -> None:
    from pathlib import Path

    from eval.gate import borne, failures, parse_gate
    from eval.report import write_report
    from eval.report.summary import as_json
    from eval.report.tables import text_table

    if json:
        emit(as_json(experiment))
    else:
        tell(text_table(experiment))
    if out is not None:  # after the table, which is then not lost where this fails
        write_report(experiment, Path(out))
        notice(f"{Path(out) / 'report.html'} is the report")
    if fail_if_worse is not None:
        gate = parse_gate(fail_if_worse)
        found = failures(experiment, gate)
        for line in (*found, *borne(experiment, gate)):
            notice(line)
        if found:
            raise typer.Exit(1)
