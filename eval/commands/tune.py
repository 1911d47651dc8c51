"""`cloze tune`: choose by judgements what an index is searched with."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.commands.extras import check_installed
from eval.commands.tune_reranker import BAR, tune_reranker
from indexer.commands.console import (
    AsJson,
    Device,
    IndexFolder,
    Threads,
    emit,
    notice,
    progress_bar,
    resolve_device,
    tell,
)

if TYPE_CHECKING:
    from eval.settings import Setting
    from eval.tuning import Tuning


def tune(
    index: IndexFolder,
    collection: Annotated[
        str, typer.Argument(metavar="COLLECTION", help="Queries and judgements of its documents")
    ],
    split: Annotated[
        str | None, typer.Option(help="Whose judgements [default: test, else the only one]")
    ] = None,
    measure: Annotated[str, typer.Option(help="What to raise, e.g. RR@10 or AP")] = "nDCG@10",
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the folds and of the tests")] = 0,
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|late|none",
            help="Then tune the weight of this reranker [default: the index's]",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Never change the index")] = False,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Tune fusion, depth, title weight, reranker; the index changes only where the gain is no luck.

    The first three are chosen without the index's reranker, but not written where its answers get
    worse by them; with one, the title weight stays. The reranker's share comes after them.
    """
    from indexer.threads import budget

    budget(threads)
    check_installed()
    from eval.collections import open_collection
    from eval.rerank_tuning import RerankTuner
    from eval.settings import write_setting
    from eval.tuning import Plan, Tuner
    from search.index import Index
    from search.reranking.opening import NONE

    asked = open_collection(collection, split)
    if asked.split == "test":
        notice("the split is test: these judgements can no longer be used to report this index")
    for line in asked.notices:
        notice(line)
    with Index.open(index, device=resolve_device(device), threads=threads) as opened:
        plan = Plan(measure=measure, folds=folds, seed=seed)
        tuner = Tuner(opened, asked, plan)
        name = rerank or opened.manifest.defaults.rerank or NONE
        second = None if name == NONE else RerankTuner(opened, asked, plan, name)
        with progress_bar(tuner.position, quiet=json, unit="queries") as progress:
            tuning = tuner.run(progress)
        written = tuning.worth_writing and not dry_run
        if written:
            write_setting(opened.folder, tuning.present, tuning.tuned)
        named = {"index": index, "collection": asked.name, "split": asked.split}
        if not json:
            tell(" ".join(f"{name} {value}" for name, value in named.items()))
            _tell(tuning)
            tell("\n" + _verdict(tuning, dry_run))
        whole = named | _as_json(tuning, written)
        if second is not None:
            whole["rerank"] = tune_reranker(second, dry_run=dry_run, json=json)
        for line in opened.notices:
            notice(line)
    if json:
        emit(whole)


def _as_json(tuning: "Tuning", written: bool) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "queries": tuning.queries,
        "measure": tuning.measure,
        "folds": len(tuning.choices),
        "present": asdict(tuning.present),
        "tuned": asdict(tuning.tuned),
        "choices": [asdict(choice) for choice in tuning.choices],
        "mean_present": tuning.mean_present,
        "mean_tuned": tuning.mean_tuned,
        "gain": tuning.comparison.difference,
        "ci95": list(tuning.comparison.ci95),
        "p_value": tuning.comparison.p_value,
        "reranked_gain": tuning.reranked.difference if tuning.reranked else None,
        "written": written,
        "curve": [asdict(setting) | {"mean": mean} for setting, mean in tuning.curve],
    }


def _tell(tuning: "Tuning") -> None:
    found = tuning.comparison
    what = "title weight" if tuning.present.fusion is None else "fusion, weight, depth"
    if tuning.present.fusion is not None and tuning.has_titles and not tuning.reranker:
        what += ", title weight"
    tell(f"{what} by {tuning.measure}: {tuning.queries} queries, {len(tuning.choices)} folds")
    if not tuning.has_titles:
        tell("no document has a title: the title weight is left as it is")
    elif tuning.reranker:
        tell(f"the index has a reranker, {tuning.reranker}: the title weight is left as it is")
    tell("chosen: of the settings within a standard error of the best, the nearest to the present")
    tell(f"\npresent  {_words(tuning.present)}")
    tell(f"tuned    {_words(tuning.tuned)}")
    for fold, choice in enumerate(tuning.choices, 1):
        tell(f"  without fold {fold}: {_words(choice)}")
    tell(f"\n{tuning.measure} of every fold's queries by the choice that was made without them:")
    tell(f"  present {tuning.mean_present:.4f}, tuned {tuning.mean_tuned:.4f}")
    low, high = found.ci95
    tell(f"  gain {found.difference:+.4f} [{low:+.4f}, {high:+.4f}] (95%), p = {found.p_value:.3g}")
    tell(f"  better on {found.wins} queries, equal on {found.ties}, worse on {found.losses}")
    if tuning.reranked:
        gain = tuning.reranked
        tell(f"  with {tuning.reranker} on top: {gain.difference:+.4f}, p = {gain.p_value:.3g}")
    _tell_curve(tuning)


def _tell_curve(tuning: "Tuning") -> None:
    """Draw the means from 0 on, so that what is flat looks flat."""
    largest = max(mean for _, mean in tuning.curve) or 1.0
    axis = "title weight" if tuning.tuned.fusion is None else "weight"
    others = "" if tuning.tuned.fusion is None else ", depth and title weight as tuned"
    tell(f"\n{tuning.measure} of all queries by {axis}{others}")
    for setting, mean in tuning.curve:
        marks = [
            name
            for name, marked in (("tuned", tuning.tuned), ("present", tuning.present))
            if setting == marked
        ]
        bar = "█" * round(BAR * mean / largest)
        tell(f"{_on_axis(setting):>6}  {mean:.4f}  {bar:<{BAR}}  {', '.join(marks)}".rstrip())


def _on_axis(setting: "Setting") -> str:
    if setting.fusion is None:
        return str(setting.title_weight)
    return "rrf" if setting.weight is None else f"{setting.weight:.2f}"


def _words(setting: "Setting") -> str:
    title = f"title weight {setting.title_weight}"
    if setting.fusion is None:
        return title
    weight = "" if setting.weight is None else f", weight {setting.weight:g}"
    return f"{setting.fusion}{weight}, depth {setting.depth}, {title}"


def _verdict(tuning: "Tuning", dry_run: bool) -> str:
    from eval.tuning import LARGEST_P

    p = f"p = {tuning.comparison.p_value:.3g}"
    if tuning.worth_writing:
        change = f"{_words(tuning.tuned)} (before: {_words(tuning.present)})"
        if dry_run:
            return f"Nothing changed (--dry-run); the gain is significant ({p}) by {change}."
        return (
            f"Written, for the gain is significant ({p}): searches now use {change}; what "
            "was before is set again by `cloze defaults INDEX` with its options."
        )
    if tuning.tuned == tuning.present:
        return (
            "Nothing changed: on all queries no other setting is better than the present one by "
            "more than a standard error."
        )
    if tuning.significant and tuning.reranked:
        return (
            f"Nothing changed: the gain is significant ({p}) without a reranker, but with the "
            f"index's own, {tuning.reranker}, the choice is worse by "
            f"{-tuning.reranked.difference:.4f}."
        )
    if tuning.comparison.difference <= 0:
        return "Nothing changed: on queries it was not chosen on, the choice is not better."
    return f"Nothing changed: the gain may be luck ({p}, and it takes less than {LARGEST_P:g})."
