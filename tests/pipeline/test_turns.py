"""Works that take turns: all are done, at most so many at a time, and share the time."""

import time

import pytest

from pipeline.turns import Turns, finished


def _work(name, steps, log):
    for step in range(steps):
        log.append((name, step))
        yield
    return name * 2


def test_alone_a_work_gives_its_result():
    log = []
    assert finished(_work("a", 3, log)) == "aa"
    assert log == [("a", 0), ("a", 1), ("a", 2)]
    assert finished(_work("b", 0, log)) == "bb"


def test_works_take_turns_and_the_next_begins_when_one_ends():
    log = []
    found = list(Turns(2).results(_work(name, steps, log) for name, steps in (("a", 3), ("b", 1), ("c", 2))))
    assert log == [("a", 0), ("b", 0), ("a", 1), ("c", 0), ("a", 2), ("c", 1)]
    assert sorted(found) == [(0, "aa"), (1, "bb"), (2, "cc")]
    assert found[0] == (1, "bb")


def test_one_at_a_time_is_one_after_the_other():
    log = []
    assert list(Turns(1).results(_work(name, 2, log) for name in "ab")) == [(0, "aa"), (1, "bb")]
    assert log == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_what_a_work_raises_comes_out():
    def broken():
        yield
        raise KeyError("x")

    with pytest.raises(KeyError):
        list(Turns(2).results([broken()]))


@pytest.mark.parametrize("most", [1, 3])
def test_seconds_are_shared_and_setting_up_takes_none(most):
    turns, spent, setting_up = Turns(most), [], []

    def work():
        begun = time.perf_counter()
        time.sleep(0.03)
        setting_up.append(time.perf_counter() - begun)
        yield
        start = turns.clock()
        for _ in range(5):
            time.sleep(0.01)
            yield
        spent.append(turns.clock() - start)

    start = time.perf_counter()
    list(turns.results(work() for _ in range(3)))
    whole = time.perf_counter() - start - sum(setting_up)
    assert sum(spent) == pytest.approx(whole, rel=0.15)
    assert min(spent) > 0.5 * whole / 3
