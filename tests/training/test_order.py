import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from training.order import Order


@given(
    count=st.integers(1, 400),
    seed=st.integers(-(2**70), 2**70),
    epoch=st.integers(0, 2**31),
)
def test_each_epoch_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    positions = np.arange(count) + epoch * count
    assert sorted(Order(count, seed)[positions].tolist()) == list(range(count))


@given(st.lists(st.integers(0, 10**6), max_size=50), st.integers(1, 5000))
def test_a_position_means_the_same_whatever_is_asked_with_it(
    positions: list[int], count: int
) -> None:
    order = Order(count, 7)
    together = order[np.array(positions, np.int64)]
    alone = [int(order[np.array([position])][0]) for position in positions]
    assert together.tolist() == alone


def test_the_shape_is_kept() -> None:
    order = Order(100, 1)
    square = np.arange(12, dtype=np.int64).reshape(3, 4)
    assert (order[square] == order[square.ravel()].reshape(3, 4)).all()
    assert order[np.empty(0, np.int64)].shape == (0,)


def test_seeds_and_epochs_give_other_orders() -> None:
    places = np.arange(1000)
    orders = [
        Order(1000, seed)[places + epoch * 1000].tolist() for seed in (0, 1) for epoch in (0, 1)
    ]
    orders.append(places.tolist())
    for number, first in enumerate(orders):
        for second in orders[:number]:
            # Of two random permutations one place agrees on average; ten are one chance in 10^7.
            assert sum(a == b for a, b in zip(first, second, strict=True)) < 10


@pytest.mark.parametrize("count", [2, 3, 5, 7, 24])
def test_everything_comes_everywhere_equally_often(count: int) -> None:
    epochs = 4000
    drawn = Order(count, 3)[np.arange(count * epochs)].reshape(epochs, count)
    expected = epochs / count
    for place in range(count):
        seen = np.bincount(drawn[:, place], minlength=count)
        # Six standard deviations of a binomial count.
        assert np.abs(seen - expected).max() < 6 * np.sqrt(expected * (1 - 1 / count))


def test_neighbours_do_not_stay_neighbours() -> None:
    drawn = Order(10_000, 5)[np.arange(10_000)]
    assert (np.abs(np.diff(drawn)) == 1).mean() < 0.002
    assert abs(np.corrcoef(np.arange(10_000), drawn)[0, 1]) < 0.05


def test_a_trillion_things_take_no_memory() -> None:
    count = 10**12 + 39
    positions = np.arange(5000, dtype=np.int64) * 199_999_999
    drawn = Order(count, 11)[positions]
    assert drawn.min() >= 0
    assert drawn.max() < count
    assert len(set(drawn.tolist())) == 5000


def test_the_order_of_a_seed_never_changes() -> None:
    assert Order(10, 0)[np.arange(20)].tolist() == PINNED


def test_nothing_has_no_order() -> None:
    with pytest.raises(ClozeError, match="the order of 0 sequences"):
        Order(0, 1)


PINNED = [3, 6, 2, 0, 5, 8, 9, 4, 7, 1, 7, 1, 2, 3, 0, 5, 8, 6, 9, 4]
