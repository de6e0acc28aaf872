"""Planes: every look-up gives what indexing gives, and what is not there says what is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lcbench.plane import BLOCK, Plane, Planes

matrices = st.tuples(st.integers(1, 6), st.integers(2, 7), st.sampled_from([np.float32, np.float64])).flatmap(
    lambda drawn: arrays(drawn[2], drawn[:2], elements=st.floats(-1e6, 1e6, width=32))
)


@given(matrices, st.data())
def test_every_way_to_a_value_gives_the_same(values, data):
    first = data.draw(st.integers(0, 1))
    scale = data.draw(st.sampled_from([1.0, 0.01]))
    plane = Plane(values, first=first, scale=scale)
    n, t = values.shape
    row, epoch = data.draw(st.integers(0, n - 1)), data.draw(st.integers(first, t - 1))
    expected = float(values[row, epoch]) * scale
    assert plane.at(row, epoch) == expected
    assert plane.curve(row)[epoch - first] == pytest.approx(expected)
    assert plane.column(epoch)[row] == pytest.approx(expected)
    assert plane.matrix()[row, epoch - first] == pytest.approx(expected)
    assert plane.take([row], epoch)[0] == pytest.approx(expected)


def test_take_equals_fancy_indexing_over_several_blocks():
    rng = np.random.default_rng(0)
    values = rng.random((100, 52), np.float32)
    rows, epochs = rng.integers(0, 100, 3 * BLOCK + 7), rng.integers(1, 52, 3 * BLOCK + 7)
    np.testing.assert_array_equal(Plane(values, first=1).take(rows, epochs), values[rows, epochs])


def test_take_broadcasts():
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(Plane(values).take(np.arange(3)[:, None], [1, 3]), values[:, [1, 3]])
    assert Plane(values).take([], []).shape == (0,)


@pytest.mark.parametrize(
    ("row", "epoch", "message"),
    [
        (3, 1, r"`row` is 3, but there are 3 trainings, 0\.\.2"),
        (-1, 1, r"`row` is -1, but there are 3 trainings"),
        (0, 0, r"`epoch` is 0, but the epochs of this view are 1\.\.3"),
        (0, 4, r"`epoch` is 4, but the epochs of this view are 1\.\.3"),
    ],
)
def test_what_is_not_there_says_what_is(row, epoch, message):
    plane = Plane(np.zeros((3, 4)), first=1)
    with pytest.raises(IndexError, match=message):
        plane.at(row, epoch)
    with pytest.raises(IndexError, match=message):
        plane.take([0, row], [1, epoch])
    with pytest.raises(IndexError, match=message):
        plane.curve(row) if epoch == 1 else plane.column(epoch)


def test_a_read_only_memory_map_is_served_without_a_copy(tmp_path):
    np.arange(12, dtype="<f4").tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.dtype("<f4"), "r", shape=(3, 4)).view(np.ndarray)
    plane = Plane(mapped)
    assert np.shares_memory(plane.values, mapped)
    assert plane.at(2, 3) == 11.0


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(2, 6)), min_size=1, max_size=4), st.data())
def test_planes_give_what_each_plane_gives(shapes, data):
    first = data.draw(st.integers(0, 1))
    flat = np.arange(sum(n * t for n, t in shapes) + 5, dtype=np.float32)
    offsets = list(5 + np.cumsum([0, *(n * t for n, t in shapes[:-1])]))
    planes = Planes(flat, offsets, shapes, first)
    which = data.draw(st.integers(0, len(shapes) - 1))
    n, t = shapes[which]
    row, epoch = data.draw(st.integers(-1, n)), data.draw(st.integers(-1, t))
    if 0 <= row < n and first <= epoch < t:
        assert planes.take([which, which], [row, 0], [epoch, first])[0] == flat[offsets[which] + row * t + epoch]
    else:
        with pytest.raises(IndexError, match=rf"plane {which} was asked for row {row} at epoch {epoch}, but has rows 0\.\.{n - 1}"):
            planes.take([which, which], [0, row], [first, epoch])
    with pytest.raises(IndexError, match="planes"):
        planes.take(len(shapes), 0, first)


def test_fractions_are_refused_instead_of_cut_off():
    with pytest.raises(IndexError, match="`epochs` must be whole numbers, but is of type float64"):
        Plane(np.zeros((2, 3))).take([0], [1.9])


def test_the_last_epoch_of_a_view_ends_every_plane():
    planes = Planes(np.arange(12.0), [0], [(2, 6)], 1, 4)
    assert planes.take(0, 1, 4) == 10
    with pytest.raises(IndexError, match=r"epoch 5, but has rows 0\.\.1 and epochs 1\.\.4"):
        planes.take(0, 1, 5)


def test_what_is_scaled_is_the_same_number_whichever_way_it_is_asked_for():
    plane = Plane(np.array([[12.3, 45.6], [78.9, 33.3]], np.float32), scale=0.01)
    rows, epochs = np.indices((2, 2))
    singles = [[plane.at(row, epoch) for epoch in range(2)] for row in range(2)]
    assert plane.matrix().tolist() == plane.take(rows, epochs).tolist() == singles == [plane.curve(row).tolist() for row in range(2)]
    assert plane.matrix().dtype == plane.take(rows, epochs).dtype == np.float64
