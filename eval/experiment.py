"""An experiment: systems over one collection, from their runs to what they cost."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from eval.analysis import PERMUTATIONS, SEED, analyse, without_identical
from eval.collections import Collection, open_collection
from eval.corpus_index import Bars, judged_but_absent, no_bars, open_index
from eval.measures import DEFAULT_MEASURES, parse_measures
from eval.provenance import provenance
from eval.results import Cost, Experiment, Shown
from eval.scoring import Scoring
from eval.systems import Answer, System, named_systems
from eval.timing import Timing
from indexer.errors import ClozeError
from indexer.index import Index as StoredIndex
from search.index import Index
from search.runs import column

# Above so many documents the textbook baseline, which scores each one, must be asked for.
_BASELINE_DOCUMENTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compare, and on what.

    `index` None builds one in the cache, by `model`. `systems` None are rank-bm25 (up to 100,000
    documents), lexical, and dense and hybrid where the index has vectors; `functions` are systems
    of the library's user by name, compared beside them. `baseline` None is lexical where it is
    among the systems, else the first; it may be a run file of its own. `split` None is test, or
    the only one. `top` documents are asked of each system.
    """

    collection: str
    index: str | None = None
    model: str | None = None
    systems: Sequence[str] | None = None
    functions: Mapping[str, Answer] = field(default_factory=dict)
    measures: Sequence[str] = DEFAULT_MEASURES
    baseline: str | None = None
    split: str | None = None
    top: int = 1000
    timed: bool = True
    drop_identical: bool = False


def run_experiment(
    plan: Plan, *, device: str = "cpu", threads: int | None = None, bars: Bars = no_bars
) -> Experiment:
    """Run every system over every judged query, score, compare and time them.

    Raises:
        ClozeError: a name is not known, a file can't be read, or the index does not hold the
            collection's documents.
    """
    measures = parse_measures(plan.measures)
    systems = None if plan.systems is None else named_systems(plan.systems)
    collection = open_collection(plan.collection, plan.split)
    with _index(plan, systems, collection, device, threads, bars) as index:
        systems = [*(systems or _of_index(index)), *_functions(plan.functions)]
        systems, baseline = choose_baseline(systems, plan.baseline)
        notices = [*collection.notices]
        if index is not None:
            notices += judged_but_absent(collection, index)
        scoring = Scoring(index, collection.queries, plan.top)
        with bars(scoring.position, "queries") as progress:
            runs = scoring.runs(systems, plan.functions, progress)
        if plan.drop_identical:
            runs = without_identical(runs)
        if scoring.reused:
            notices.append(f"finished runs were reused: {', '.join(scoring.reused)}")
        costs = _costs(systems, collection, index, bars) if plan.timed else {}
        with bars(lambda: None, "systems") as progress:
            results = analyse(runs, collection.qrels, measures, baseline, costs, progress)
        return Experiment(
            collection=collection.name,
            split=collection.split,
            measures=measures,
            baseline=baseline,
            queries=collection.queries,
            qrels=collection.qrels,
            systems=results,
            notices=tuple(notices),
            provenance=provenance(
                index,
                collection=plan.collection,
                split=collection.split,
                queries_and_judgements=collection.fingerprint,
                top=plan.top,
                drop_identical=plan.drop_identical,
                seed=SEED,
                permutations=PERMUTATIONS,
                runs=scoring.tags,
            ),
            documents=_reader(index),
        )


def _index(
    plan: Plan,
    systems: Sequence[System] | None,
    collection: Collection,
    device: str,
    threads: int | None,
    bars: Bars,
) -> "Index | nullcontext[None]":
    """Open the index where a system or the report needs it."""
    wanted = systems is None or any(system.needs_index for system in systems)
    if not wanted and plan.index is None:
        return nullcontext()
    vectors = systems is None or any(system.needs_vectors for system in systems)
    return open_index(
        collection, plan.index, model=plan.model, vectors=vectors, device=device, threads=threads,
        bars=bars,
    )  # fmt: skip


def _of_index(index: Index | None) -> list[System]:
    """Return the systems that are compared where none are named."""
    if index is None:
        raise AssertionError("no systems were named, and there is no index")
    names = ["rank-bm25"] if index.lexical.count <= _BASELINE_DOCUMENTS else []
    names += ["lexical", "dense", "hybrid"] if index.manifest.encoder else ["lexical"]
    return named_systems(names)


def _functions(functions: Mapping[str, Answer]) -> list[System]:
    return [System(name=name, kind="callable") for name in functions]


def choose_baseline(systems: Sequence[System], baseline: str | None) -> tuple[list[System], str]:
    """Return the systems with the baseline among them, and its name.

    Raises:
        ClozeError: it is none of them and no run file.
    """
    names = [system.name for system in systems]
    if baseline is None:
        return list(systems), "lexical" if "lexical" in names else names[0]
    if baseline in names:
        return list(systems), baseline
    if not Path(baseline).is_file():
        raise ClozeError(
            f"the baseline {baseline!r} is none of the systems ({', '.join(names)}) and no run file"
        )
    (added,) = named_systems([baseline])
    return [added, *systems], added.name


def _costs(
    systems: Sequence[System], collection: Collection, index: Index | None, bars: Bars
) -> dict[str, Cost]:
    """Time the systems that a process of their own can open."""
    opened = [system for system in systems if system.has_name]
    timing = Timing(opened, collection.queries, index)
    with bars(timing.position, "queries") as progress:
        return timing.costs(progress)


def _reader(index: StoredIndex | None) -> Callable[[Sequence[str]], Mapping[str, Shown]]:
    """Return what reads documents by the ids that runs have, also after the index is closed."""
    if index is None:
        return lambda ids: {}
    folder = index.folder

    def read(ids: Sequence[str]) -> Mapping[str, Shown]:
        wanted = set(ids)
        with StoredIndex.open(folder) as opened:
            own = {column(each): each for each in opened.store.live_ids() if column(each) in wanted}
            rows = opened.store.live(list(own.values()))
            found = opened.store.documents([row.number for row in rows.values()])
        return {
            column(document.id): Shown(title=document.title, text=document.text)
            for document in found.values()
        }

    return read
