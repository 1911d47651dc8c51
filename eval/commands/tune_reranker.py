"""What `cloze tune` says of a reranker's weight."""

from typing import TYPE_CHECKING, Any

from indexer.commands.console import progress_bar, tell

if TYPE_CHECKING:
    from eval.rerank_tuning import RerankTuner, RerankTuning

BAR = 40


def tune_reranker(tuner: "RerankTuner", *, dry_run: bool, json: bool) -> dict[str, Any]:
    """Tune a reranker's weight, write and tell what came out; return what `--json` prints of it."""
    from eval.rerank_tuning import write_reranker

    with progress_bar(tuner.position, quiet=json, unit="queries") as progress:
        tuning = tuner.run(progress)
    written = tuning.worth_writing and not dry_run
    if written:
        write_reranker(tuner.folder, tuning)
    if not json:
        _tell(tuning, dry_run)
    return _as_json(tuning, written)


def _as_json(tuning: "RerankTuning", written: bool) -> dict[str, Any]:
    return {
        "name": tuning.name,
        "other": tuning.other,
        "present": tuning.present,
        "tuned": tuning.tuned,
        "choices": list(tuning.choices),
        "mean_present": tuning.mean_present,
        "mean_tuned": tuning.mean_tuned,
        "gain": tuning.comparison.difference,
        "ci95": list(tuning.comparison.ci95),
        "p_value": tuning.comparison.p_value,
        "written": written,
        "curve": [{"weight": weight, "mean": mean} for weight, mean in tuning.curve],
    }


def _tell(tuning: "RerankTuning", dry_run: bool) -> None:
    found, measure = tuning.comparison, tuning.measure
    tell(f"\nshare of the scores of {tuning.name} by {measure}, the rest as searches now use it")
    present, tuned, *choices = (
        _words(tuning, each) for each in (tuning.present, tuning.tuned, *tuning.choices)
    )
    tell(f"present {present}, tuned {tuned}; without one fold each: {', '.join(choices)}")
    low, high = found.ci95
    tell(f"  present {tuning.mean_present:.4f}, tuned {tuning.mean_tuned:.4f} (held-out queries)")
    tell(f"  gain {found.difference:+.4f} [{low:+.4f}, {high:+.4f}] (95%), p = {found.p_value:.3g}")
    largest = max(mean for _, mean in tuning.curve) or 1.0
    for weight, mean in tuning.curve:
        named = (("tuned", tuning.tuned), ("present", tuning.present))
        marks = ", ".join(name for name, marked in named if weight == marked)
        bar = "█" * round(BAR * mean / largest)
        tell(f"{weight:>6.2f}  {mean:.4f}  {bar:<{BAR}}  {marks}".rstrip())
    tell("\n" + _verdict(tuning, dry_run))


def _words(tuning: "RerankTuning", weight: float | None) -> str:
    return f"{tuning.other} as now" if weight is None else f"{weight:g}"


def _verdict(tuning: "RerankTuning", dry_run: bool) -> str:
    p = f"p = {tuning.comparison.p_value:.3g}"
    if not tuning.worth_writing:
        return f"Nothing changed: no other share is better by more than luck ({p})."
    if tuning.tuned is None:
        raise AssertionError("what is left as it is can't be worth writing")
    change = f"{tuning.name} with weight {tuning.tuned:g}" if tuning.tuned else "no reranker"
    if dry_run:
        return f"Nothing changed (--dry-run); the gain is significant ({p}) by {change}."
    return f"Written, for the gain is significant ({p}): searches now use {change}."
