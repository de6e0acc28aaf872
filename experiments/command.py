"""The harness as a process of its own, started from Python: its lines are printed as they come, its refusals are raised."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.door import EXIT_BAD_INPUT
from lcbench.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
RUN = str(ROOT / "run.py")
"""The door, as a script."""
LINES = 30
"""Of the output of a command that failed, so many lines are shown, the last ones."""
PATIENCE = 20.0
"""Seconds that an interrupted command has to end by itself: it stops its children and closes its record."""


def run(arguments: Sequence[str], *, echo: bool) -> None:
    """Run ``python …`` where the caller stands, with this very code, and wait for it.

    Args:
        arguments: a script, or -m and a module, and its words.
        echo: print what it prints.

    Raises:
        UserError: with its last line, if it refused its input.
        RuntimeError: with its last lines, if it failed in another way.
    """
    search_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": search_path, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-P", *arguments]  # not the packages of the caller's folder
    lines: list[str] = []
    process = _started(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # Ctrl-C comes here only, and is handed on once
    )
    threading.Thread(target=_clear_up, args=(process,), daemon=True).start()
    try:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            if echo:
                print(line, end="", flush=True)
        process.wait()
    except BaseException:
        process.terminate()
        _end(process)
        raise
    finally:
        if process.stdout:
            process.stdout.close()
    if process.returncode == EXIT_BAD_INPUT:
        raise UserError(lines[-1].removeprefix("error: ") if lines else "the input was refused")
    if process.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with exit code {process.returncode}:\n" + "\n".join(lines[-LINES:]))


def _started(command: list[str], **options: Any) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(command, **options)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        longest = max(command, key=len)
        raise UserError(
            f"{longest[:40]}… is {len(longest)} letters long, more than a command line takes: name fewer columns (text needs no naming)"
        ) from None


def _clear_up(process: subprocess.Popen[str]) -> None:
    """When the command has ended, end what it has left: a fork server that still loads would hold its output open for seconds."""
    process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def quoted(value: object) -> str:
    """A value as the command line of Hydra reads it back, whatever letters it has.

    >>> print(quoted("a=b, c"))
    'a=b, c'
    """
    text = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), str(value))  # others stand for themselves
    text = text.replace("${", "\\${")  # no reference to another key
    return f"'{text}'"
