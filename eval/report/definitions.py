"""What the measures and tests of a report mean, a sentence each, with their sources."""

import re
from collections.abc import Iterable

Definition = tuple[str, str, str]  # name, sentence, source

_MEASURES = {
    "nDCG": (
        "The sum of the grades found, each divided by log2(rank + 1), as a share of the largest "
        "sum that any order gives.",
        "Järvelin and Kekäläinen, TOIS 20(4), 2002; trec_eval",
    ),
    "RR": (
        "One over the rank of the first relevant document.",
        "Voorhees, The TREC-8 Question Answering Track Report, 1999; trec_eval",
    ),
    "AP": (
        "The precision at the rank of each relevant document, 0 for those not found, averaged "
        "over all relevant documents.",
        "Buckley and Voorhees, SIGIR 2000; trec_eval",
    ),
    "R": ("The share of all relevant documents that is found.", "trec_eval"),
    "P": ("The share of the documents returned that is relevant.", "trec_eval"),
    "Success": ("1 where a relevant document is found, else 0.", "trec_eval"),
    "Judged": (
        "The share of the documents returned that anyone has judged; where it is low, or differs "
        "between systems, the other measures say little.",
        "ir-measures",
    ),
}
_OTHER = ("As ir-measures defines it.", "ir-measures")
_TESTS: tuple[Definition, ...] = (
    (
        "p",
        "How often a difference as large would come up if, query by query, chance alone had dealt "
        "the two values to the two systems: the paired randomisation test, two-sided.",
        "Fisher, 1935; Smucker, Allan and Carterette, CIKM 2007",
    ),
    (
        "Holm's correction",
        "Multiplies the smallest p by the number of systems compared, the next by one less, and so "
        "on, so that luck in any one of them passes in at most 5 of 100 experiments.",
        "Holm, Scandinavian Journal of Statistics 6(2), 1979",
    ),
    (
        "95% interval",
        "Where the mean falls in 95 of 100 redrawings of the queries, with replacement: the "
        "bootstrap.",
        "Efron and Tibshirani, An Introduction to the Bootstrap, 1993",
    ),
    (
        "effect size",
        "The mean difference over the standard deviation of the differences.",
        "Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988",
    ),
)


def definitions(measures: Iterable[str], *, tests: bool) -> tuple[Definition, ...]:
    """Define the measures by their names in ir-measures, and the tests where there were any."""
    return (*(_measure(name) for name in measures), *(_TESTS if tests else _TESTS[2:3]))


def _measure(name: str) -> Definition:
    match = re.match(r"([A-Za-z_]+)(\(.*\))?(?:@(\d+))?$", name)
    sentence, source = _MEASURES.get(match[1], _OTHER) if match else _OTHER
    if match and match[3]:
        sentence += f" Only the first {match[3]} results count."
    if match and match[2]:
        sentence += f" With {match[2][1:-1]}."
    return name, sentence, source
