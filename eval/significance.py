"""Is a difference luck? Paired tests, intervals and the correction for several comparisons."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from eval.results import Comparison, Interval
from indexer.errors import ClozeError

Floats: TypeAlias = npt.NDArray[np.float64]

# Differences within this are the noise of floating point, and count as none.
_NOISE = 1e-9
_RESAMPLES = 10_000
# Numbers held at once by a resampling test: 16 MiB of float64.
_BLOCK = 1 << 21


def compare(
    system: Mapping[str, float],
    baseline: Mapping[str, float],
    *,
    seed: int = 0,
    permutations: int = 100_000,
) -> Comparison:
    """Compare a system's values with the baseline's, paired by query.

    The p-values are two-sided and `p_holm` is `p_value` until `holm` corrects it. Differences
    within 1e-9 are ties and count as 0. The paired randomisation test is the one that Smucker,
    Allan and Carterette (2007, A comparison of statistical significance tests for information
    retrieval evaluation) recommend: under the null hypothesis the sign of each difference is a
    coin's throw. Where there are no more arrangements of signs (of differences other than 0) than
    `permutations`, all are counted and p is exact; else so many are drawn and p is
    (1 + as extreme) / (1 + permutations), which never is 0 and keeps the test valid (Phipson and
    Smyth 2010, Permutation p-values should never be zero). The result depends on the values and
    the seed, not on the names or order of queries.

    `effect_size` is Cohen's d for paired samples (Cohen 1988), 0 where all differences are 0 and
    infinite where all are the same otherwise; `p_t` then is 1 and 0, and 1 for a single query.

    Raises:
        ClozeError: the two don't have the same queries, or there is none.
    """
    differences = _differences(system, baseline)
    p_value = _randomisation(differences, seed, permutations)
    return Comparison(
        difference=math.fsum(differences) / len(differences),
        ci95=_bootstrap(differences, seed, _RESAMPLES),
        p_value=p_value,
        p_holm=p_value,
        p_t=_paired_t(differences),
        effect_size=_effect_size(differences),
        wins=int(np.sum(differences > 0)),
        ties=int(np.sum(differences == 0)),
        losses=int(np.sum(differences < 0)),
    )


def interval(
    values: Mapping[str, float], *, seed: int = 0, resamples: int = _RESAMPLES
) -> Interval:
    """Return the 95% percentile bootstrap interval of the mean over queries.

    Queries are drawn with replacement (Efron 1979, Bootstrap methods: another look at the
    jackknife; Efron and Tibshirani 1993, chapter 13).

    Raises:
        ClozeError: there is no query.
    """
    _require_queries(values)
    return _bootstrap(np.sort(np.array(list(values.values()), dtype=float)), seed, resamples)


def holm(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Return the comparisons of several systems with one baseline with `p_holm` corrected.

    Holm's step-down procedure bounds the chance of any false claim among them, whatever their
    dependence (Holm 1979, A simple sequentially rejective multiple test procedure).
    """
    if not comparisons:
        return {}
    # Here, for it takes seconds to import.
    from statsmodels.stats.multitest import multipletests

    p_values = [each.p_value for each in comparisons.values()]
    corrected = multipletests(p_values, method="holm")[1]
    return {
        name: replace(each, p_holm=float(p))
        for (name, each), p in zip(comparisons.items(), corrected, strict=True)
    }


def _differences(system: Mapping[str, float], baseline: Mapping[str, float]) -> Floats:
    """Return system minus baseline, in an order that depends on the values alone."""
    if system.keys() != baseline.keys():
        query = min(system.keys() ^ baseline.keys())
        has, lacks = ("system", "baseline") if query in system else ("baseline", "system")
        raise ClozeError(
            f"the {has} has a value for query {query!r} and the {lacks} has none "
            f"({len(system)} and {len(baseline)} queries); score both on the same judgements"
        )
    _require_queries(system)
    found = np.array([system[query] - baseline[query] for query in system], dtype=float)
    found[np.abs(found) <= _NOISE] = 0.0
    # By size, so that exchanging system and baseline leaves the p-value as it is.
    return found[np.lexsort((found, np.abs(found)))]


def _require_queries(values: Mapping[str, float]) -> None:
    if not values:
        raise ClozeError("no query has judgements, so there is nothing to compare")


def _randomisation(differences: Floats, seed: int, permutations: int) -> float:
    sizes = np.abs(differences[differences != 0])
    if not len(sizes):
        return 1.0
    # Whole numbers of up to 2^50 add up without rounding in any order, so that neither blocks nor
    # threads change the result; what rounding to them loses is within `slack`.
    scale = 2.0**50 / sizes.sum()
    whole = np.rint(sizes * scale)
    slack = len(sizes) * (1.0 + 1e-12 * scale)
    signs = np.sign(differences[differences != 0])
    threshold = abs(float(whole @ signs)) - slack
    # With P the sum of those that stay positive, the difference is P - (total - P).
    total = float(whole.sum())
    if 2 ** len(whole) <= permutations:
        return float(np.mean(np.abs(2 * _all_sums(whole) - total) >= threshold))
    extreme = sum(
        int(np.sum(np.abs(2 * sums - total) >= threshold))
        for sums in _drawn_sums(whole, seed, permutations)
    )
    return (1 + extreme) / (1 + permutations)


def _all_sums(whole: Floats) -> Floats:
    """Return the sum of every subset: [2^n]."""
    sums = np.zeros(1)
    for each in whole:
        sums = np.concatenate((sums, sums + each))
    return sums


def _drawn_sums(whole: Floats, seed: int, permutations: int) -> Iterator[Floats]:
    """Yield the sums of random subsets, block by block."""
    bits = np.random.PCG64(seed)
    words = -(-len(whole) // 64)
    for rows in _blocks(permutations, len(whole)):
        raw = bits.random_raw(rows * words).astype("<u8").view(np.uint8).reshape(rows, -1)
        chosen = np.unpackbits(raw, axis=1, count=len(whole))  # [rows, differences]
        yield chosen.astype(np.float64) @ whole


def _bootstrap(values: Floats, seed: int, resamples: int) -> Interval:
    draw = np.random.default_rng(seed)
    means = [
        values[draw.integers(len(values), size=(rows, len(values)))].mean(axis=1)
        for rows in _blocks(resamples, len(values))
    ]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return float(low), float(high)


def _blocks(rows: int, columns: int) -> Iterator[int]:
    """Yield numbers of rows that together are all rows, each block of bounded size."""
    block = max(1, _BLOCK // columns)
    for start in range(0, rows, block):
        yield min(block, rows - start)


def _paired_t(differences: Floats) -> float:
    """Return the p-value of the paired t-test (Student 1908, The probable error of a mean)."""
    if len(differences) == 1 or not differences.any():
        return 1.0
    if _constant(differences):
        return 0.0
    # Here, for it takes a second to import.
    from scipy.stats import ttest_rel

    return float(ttest_rel(differences, np.zeros_like(differences)).pvalue)


def _effect_size(differences: Floats) -> float:
    centre = float(differences.mean())
    if not differences.any():
        return 0.0
    if _constant(differences):
        return math.copysign(math.inf, centre)
    return centre / float(differences.std(ddof=1))


def _constant(differences: Floats) -> bool:
    return bool(np.ptp(differences) <= _NOISE)
