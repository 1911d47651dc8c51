"""Run files against judgements, without a collection or an index."""

from collections.abc import Sequence
from pathlib import Path

from eval.analysis import PERMUTATIONS, SEED, analyse, without_identical
from eval.corpus_index import Bars, no_bars
from eval.experiment import line_up
from eval.judgements import read_qrels
from eval.measures import DEFAULT_MEASURES, parse_measures
from eval.provenance import hashes, provenance
from eval.results import Experiment
from eval.runs import Run
from eval.scoring import read_judged_run, unjudged_queries
from eval.systems import distinct, run_file
from indexer.progress import Step


def compare_runs(
    qrels: str,
    runs: Sequence[str],
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    baseline: str | None = None,
    drop_identical: bool = False,
    bars: Bars = no_bars,
) -> Experiment:
    """Score run files and compare them with one of them, by default the first.

    `baseline` is the file or the name of one of the runs, or a file beside them.

    Raises:
        ClozeError: a file can't be read, a line is malformed, or no query is in both.
    """
    wanted = parse_measures(measures)
    systems = distinct([run_file(run) for run in runs])
    # The baseline may be one of the runs, named by its file.
    named = {system.place: system.name for system in systems}
    systems, chosen = line_up(systems, named.get(baseline or "", baseline))
    judged = read_qrels(Path(qrels))
    found: dict[str, Run] = {}
    with bars(lambda: len(found) / len(systems), "runs") as progress:
        for system in systems:
            found[system.name] = read_judged_run(system, judged, qrels)
            progress(Step(phase="search", documents=len(found)))
        if drop_identical:
            found = without_identical(found)
        results = analyse(found, judged, wanted, chosen, {}, progress)
    return Experiment(
        collection=Path(qrels).name,
        split="",
        measures=wanted,
        baseline=chosen,
        queries=dict.fromkeys(judged, ""),
        qrels=judged,
        systems=results,
        notices=tuple(unjudged_queries(found, judged)),
        provenance=provenance(
            None, qrels=qrels, files=hashes([qrels, *(system.place for system in systems)]),
            drop_identical=drop_identical, seed=SEED, permutations=PERMUTATIONS,
        ),
        documents=lambda ids: {},
    )  # fmt: skip
