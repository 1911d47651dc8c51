"""An experiment: systems over one collection, from their runs to what they cost."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from eval.analysis import PERMUTATIONS, SEED, analyse, without_identical
from eval.collections import Collection, open_collection
from eval.corpus_index import (
    Bars,
    check_ids,
    judged_but_absent,
    no_bars,
    open_index,
    searched_otherwise,
)
from eval.measures import DEFAULT_MEASURES, cutoff, parse_measures
from eval.provenance import hashes, provenance
from eval.results import Cost, Experiment, Shown
from eval.scoring import Scoring
from eval.systems import Answer, System, distinct, named_systems, run_file
from eval.timing import Timing
from indexer.documents import Document
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
    the only one. `top` documents are asked of each system. `reuse` takes finished runs from the
    cache where nothing that they depend on has changed.
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
    reuse: bool = True


def run_experiment(
    plan: Plan, *, device: str = "cpu", threads: int | None = None, bars: Bars = no_bars
) -> Experiment:
    """Run every system over every judged query, score, compare and time them.

    Raises:
        ClozeError: a name is not known, a file can't be read, or the index does not hold the
            collection's documents.
    """
    measures = _measures(plan)
    systems = None if plan.systems is None else named_systems(plan.systems)
    collection = open_collection(plan.collection, plan.split)
    with _index(plan, systems, collection, device, threads, bars) as index:
        notices = [*collection.notices, *_about(collection, index, systems)]
        systems = [*(systems or _of_index(index)), *_functions(plan.functions)]
        systems, baseline = line_up(systems, plan.baseline)
        scoring = Scoring(index, collection.queries, plan.top, reuse=plan.reuse)
        with bars(scoring.position, "queries") as progress:
            runs = scoring.runs(systems, plan.functions, progress)
        notices += scoring.notices
        if plan.drop_identical:
            runs = without_identical(runs)
        costs = _costs(systems, collection, index, bars, notices) if plan.timed else {}
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
                files=hashes(system.place for system in systems if system.kind == "run"),
            ),
            documents=_reader(collection, index),
        )


def _measures(plan: Plan) -> tuple[str, ...]:
    """Read the measures, and check that enough documents are asked for."""
    measures = parse_measures(plan.measures)
    for measure in measures:
        depth = cutoff(measure) or 1
        if depth > plan.top:
            raise ClozeError(
                f"{measure} looks at {depth} documents, --top asks for {plan.top}; raise --top, or "
                "leave the measure out"
            )
    return measures


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


def _about(
    collection: Collection, index: Index | None, systems: Sequence[System] | None
) -> list[str]:
    """Tell what of the index the reader of the figures must know."""
    if index is None:
        return []
    check_ids(index)
    notices = [*judged_but_absent(collection, index), *searched_otherwise(index)]
    if dead := index.lexical.dead:
        notices.append(
            f"BM25's statistics of {index.folder} still count {dead:,} rows that were deleted or "
            f"replaced; before you compare it with another index: cloze compact {index.folder}"
        )
    if systems is None and index.manifest.encoder is None:
        notices.append(f"{index.folder} has no vectors: dense and hybrid are left out")
    if systems is None and index.lexical.count > _BASELINE_DOCUMENTS:
        notices.append(
            f"rank-bm25 scores every document and is left out above {_BASELINE_DOCUMENTS:,}; name "
            "it in --systems to have it"
        )
    return notices


def _of_index(index: Index | None) -> list[System]:
    """Return the systems that are compared where none are named."""
    if index is None:
        raise AssertionError("no systems were named, and there is no index")
    names = ["rank-bm25"] if index.lexical.count <= _BASELINE_DOCUMENTS else []
    names += ["lexical", "dense", "hybrid"] if index.manifest.encoder else ["lexical"]
    return named_systems(names)


def _functions(functions: Mapping[str, Answer]) -> list[System]:
    return [System(name=name, kind="callable") for name in functions]


def line_up(systems: Sequence[System], baseline: str | None) -> tuple[list[System], str]:
    """Return the systems, the baseline among them, with names of their own; and its name.

    Raises:
        ClozeError: the baseline is none of them and no run file, or two are named alike.
    """
    names = [system.name for system in systems]
    if baseline is None:
        return distinct(systems), "lexical" if "lexical" in names else names[0]
    if baseline in names:
        return distinct(systems), baseline
    if not Path(baseline).exists():
        raise ClozeError(
            f"the baseline {baseline!r} is none of the systems ({', '.join(names)}) and no run file"
        )
    lined = distinct([run_file(baseline), *systems])
    return lined, lined[0].name


def _costs(
    systems: Sequence[System],
    collection: Collection,
    index: Index | None,
    bars: Bars,
    notices: list[str],
) -> dict[str, Cost]:
    """Time the systems that a process of their own can open; a failure is told, no more."""
    opened = [system for system in systems if system.has_name]
    timing = Timing(opened, collection.queries, index)
    try:
        with bars(timing.position, "queries") as progress:
            return timing.costs(progress)
    except ClozeError as error:
        notices.append(str(error))
        return {}


def _reader(
    collection: Collection, index: StoredIndex | None
) -> Callable[[Sequence[str]], Mapping[str, Shown]]:
    """Return what reads documents by the ids that runs have, also after the index is closed."""
    folder = None if index is None else index.folder

    def read(ids: Sequence[str]) -> Mapping[str, Shown]:
        wanted = set(ids)
        documents: Iterable[Document] = ()
        if folder is not None:
            documents = _stored(folder, wanted)
        elif collection.corpus:
            documents = collection.corpus()
        return {
            written: Shown(title=document.title, text=document.text)
            for document in documents
            if (written := column(document.id)) in wanted
        }

    return read


def _stored(folder: Path, wanted: Set[str]) -> list[Document]:
    with StoredIndex.open(folder) as opened:
        own = [each for each in opened.store.live_ids() if column(each) in wanted]
        rows = opened.store.live(own)
        return list(opened.store.documents([row.number for row in rows.values()]).values())
