"""What a person sees while something takes long."""

import io

import pytest
from rich.console import Console

from lcbench.commands import progress
from lcbench.commands.progress import LINE_SECONDS, progress_bar


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def _console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=terminal)


def test_a_log_gets_a_line_with_the_time_left_now_and_then(clock):
    console = _console()
    with progress_bar(console) as show:
        for done in range(5):
            show(done, 1000, "vehicle, [3]")
            clock[0] += LINE_SECONDS / 2
    assert console.file.getvalue().splitlines() == [
        "30 s gone, about 4 h 9 min left: 2 of 1,000, vehicle, [3]",
        "1 min 0 s gone, about 4 h 9 min left: 4 of 1,000, vehicle, [3]",
    ]


def test_what_is_quick_says_nothing_in_a_log(clock):
    console = _console()
    with progress_bar(console) as show:
        show(0, 2, "")
        clock[0] += LINE_SECONDS - 1
        show(2, 2, "")
    assert not console.file.getvalue()


def test_an_end_that_is_unknown_is_not_guessed(clock):
    console = _console()
    with progress_bar(console) as show:
        clock[0] += LINE_SECONDS
        show(1234, 0, "data.zip")
        clock[0] += LINE_SECONDS
        show(0, 10, "")
    assert console.file.getvalue().splitlines() == ["30 s gone: 1,234, data.zip", "1 min 0 s gone: 0 of 10"]


def test_a_terminal_gets_a_bar_that_leaves_nothing_behind():
    console = _console(terminal=True)
    with progress_bar(console) as show:
        show(1, 2, "half")
    text = console.file.getvalue()
    assert "half" in text and "50%" in text
    assert "\x1b[2K" in text.rpartition("half")[2]
