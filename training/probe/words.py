"""What words alone reach, without any model: the figures that a layer has to outdo."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array

from training.probe.classifier import Classified, Labelled, classify
from training.probe.similarity import spearman
from training.probe.tasks import Row

# Its features are of length 1 a row, not standardised, so that strengths are smaller.
_STRENGTHS = (1e-2, 1e-3, 1e-4, 1e-5)
_WORD = re.compile(r"\w+|[^\w\s]")


class TfIdf:
    """A text as the weights of its words, scaled to length 1.

    A word's is (1 + ln count) * (1 + ln((1 + texts) / (1 + texts with it))): Salton and Buckley
    1988, Term-weighting approaches in automatic text retrieval.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Count in how many of the texts each word is; other words have no feature."""
        documents: Counter[str] = Counter()
        count = 0
        for text in texts:
            documents.update(set(_words(text)))
            count += 1
        self._column = {word: place for place, word in enumerate(sorted(documents))}
        self._weight = {
            word: math.log((1 + count) / (1 + held)) + 1 for word, held in documents.items()
        }

    def features(self, texts: Sequence[str]) -> csr_array:
        """Return a sparse array [texts, words]; a text without known words is a row of zeros."""
        values: list[float] = []
        columns: list[int] = []
        ends = [0]
        for text in texts:
            counts = Counter(word for word in _words(text) if word in self._column)
            row = [(1 + math.log(n)) * self._weight[word] for word, n in counts.items()]
            length = math.sqrt(math.fsum(value * value for value in row))
            values += [value / length for value in row]
            columns += [self._column[word] for word in counts]
            ends.append(len(values))
        return csr_array((values, columns, ends), shape=(len(texts), len(self._column)))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def classify_words(
    rows: Sequence[Sequence[Row]], classes: Sequence[np.ndarray[tuple[int], np.dtype[np.int64]]]
) -> Classified:
    """Classify by a bag of words; `rows` and `classes` are those of train, dev and test."""
    texts = [[row[0][0] for row in part] for part in rows]
    counted = TfIdf(texts[0])
    train, dev, test = (
        Labelled(features=counted.features(part), classes=numbers)
        for part, numbers in zip(texts, classes, strict=True)
    )
    return classify(train, dev, test, _STRENGTHS)


def compare_words(train: Sequence[Row], test: Sequence[Row]) -> float:
    """Return the rank correlation of the cosine of two bags of words with the grades of test."""
    counted = TfIdf(text for texts, _ in train for text in texts)
    left, right = (counted.features([texts[side] for texts, _ in test]) for side in (0, 1))
    cosines = np.asarray((left * right).sum(axis=1)).ravel()
    return spearman(cosines, np.array([float(grade) for _, grade in test]))
