"""The harness as a process of its own."""

import os
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from experiments import command
from experiments.config import register
from experiments.door import CONF
from lcbench.errors import UserError

LEAVES_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print(child.pid)
print("error: `seed` is -1")
sys.exit(2)
"""


def test_a_refusal_does_not_wait_for_what_the_command_has_left(capsys):
    start = time.monotonic()
    with pytest.raises(UserError, match="`seed` is -1"):
        command.run(["-c", LEAVES_A_CHILD], echo=True)
    assert time.monotonic() - start < 50
    child = int(capsys.readouterr().out.splitlines()[0])
    deadline = time.monotonic() + 20
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(pid):
    """A process that was killed stays as a zombie where nobody asks after it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_fails_otherwise_is_shown():
    with pytest.raises(RuntimeError, match=r"(?s)ended with exit code 1:.*ZeroDivisionError"):
        command.run(["-c", "1 / 0"], echo=False)


@pytest.mark.parametrize("text", ["a=b, c", "it's", "km\\h", "C:\\", "\\'", "${x}", "100 %", "a\\\\b"])
def test_what_is_quoted_comes_back_as_it_was(text):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("run", ["task=file", "task.path=a.csv", "task.target=y", f"task.categorical=[{command.quoted(text)}]"])
    assert list(config.task.categorical) == [text]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of Linux")
def test_a_word_that_is_too_long_for_a_command_line_is_a_sentence():
    with pytest.raises(UserError, match=r"^task\.categorical=\['a', 'a', .*… is 300018 letters long, more than a command line takes"):
        command.run([command.RUN, "task.categorical=[" + "'a', " * 60_000], echo=False)
