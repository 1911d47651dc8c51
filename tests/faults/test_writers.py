"""Several processes in one folder at once: no write is lost, and no reader sees a part of one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from indexer.index import Index
from indexer.verification import damage
from tests.faults import scenario
from tests.faults.contents import stored
from tests.faults.processes import Driver

_WRITERS = (0, 1)


def test_two_writers_and_a_reader(tiny_model: Path, other_model: Path, tmp_path: Path) -> None:
    """Both make the index as well: the folder is not there when they start."""
    folder = tmp_path / "index"
    drivers = [Driver(folder, (tiny_model, other_model), f"W{number}") for number in _WRITERS]
    expected = {each.id: each for number in _WRITERS for each in scenario.writer(number)}
    seen: set[frozenset[str]] = set()
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = [pool.submit(driver.finish) for driver in drivers]
        while not (folder / "manifest.json").exists() and not all(run.done() for run in runs):
            pass
        with Index.open(folder) as reader:
            over = False
            while not over:
                over = all(run.done() for run in runs)
                seen.add(_ids_at_one_commit(reader))
        for run in runs:
            run.result()
    assert frozenset(expected) in seen
    assert len(seen) > 3  # else the reader was too late to see anything
    for ids in seen:
        for number in _WRITERS:
            whole = scenario.whole_batches(set(ids), number)
            assert whole == sorted(whole, reverse=True)  # its first ones
    with Index.open(folder) as index:
        assert stored(index) == expected
        assert damage(index) == []


def _ids_at_one_commit(reader: Index) -> frozenset[str]:
    with reader.reading():
        numbers = reader.store.numbers(reader.sequence)
        ids = frozenset(reader.store.ids(numbers.tolist()).values())
        assert len(ids) == len(numbers)
        assert reader.lexical.numbers().tolist() == numbers.tolist()
        rows, _ = reader.dense.rows()
        assert {row >> 20 for row in rows.tolist()} <= set(numbers.tolist())
        assert len(rows) >= 0.9 * len(numbers)
    return ids
