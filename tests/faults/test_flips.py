"""Damage to any file is found, mended or harmless; `python -m tests.faults.flips` does any number.

A wrong answer that nothing tells of, an error that is no line for people and a dead process fail.
"""

from pathlib import Path

from tests.faults.flips import BAD, run, table

_DAMAGES = 60


def test_no_damage_gives_a_wrong_answer_without_a_word(tiny_model: Path, tmp_path: Path) -> None:
    results = list(run(tmp_path, tiny_model, seed=3, count=_DAMAGES))
    assert len(results) == _DAMAGES
    bad = [result for result in results if result.outcome in BAD]
    assert not bad, f"{bad}\n{table(results)}"
    assert {"refused", "rebuilt", "harmless"} <= {result.outcome for result in results}
