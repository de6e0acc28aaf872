"""The door of the harness: whatever is wrong with the input becomes one sentence and an exit code, not a traceback."""

from __future__ import annotations

import difflib
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from experiments import START
from lcbench.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, UserError, in_words

CONF = Path(__file__).parent / "conf"
EXIT_BUG = 1


class Door:
    """Lets a Hydra main function in, and says what went wrong with its jobs; a launcher of Hydra may copy it into other processes."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self._home = os.getpid()
        self._start: float | None = START  # of the first job
        self.bug = False

    @property
    def away(self) -> bool:
        """Whether a launcher of Hydra has brought this job to another process."""
        return os.getpid() != self._home

    def job(self, work: Callable[[float, Console], object], name: str) -> None:
        """Do one job, called with the `time.monotonic()` of its start and a console; what fails is said at once and stops no sweep."""
        start, self._start = (self._start if self._start and not self.away else time.monotonic()), None
        try:
            work(start, Console(markup=False, force_terminal=False if self.away else None))  # live pictures would share a terminal
        except (UserError, OSError) as error:
            self._fail(name, in_words(error))
        except OmegaConfBaseException as error:
            self._fail(name, sentence(error))
        except Exception as error:  # noqa: BLE001 (the other jobs of a sweep go on; the exit code remembers)
            traceback.print_exc()
            self.bug = True
            self._fail(name, f"{type(error).__name__}: {error}")

    def _fail(self, name: str, text: str) -> None:
        """Say it, and remember it; from another process Hydra carries the first failure home as an error when all jobs have ended."""
        self.failures.append(f"{name}: {text}")
        print(f"error: {text}", file=sys.stderr, flush=True)
        if self.away:
            raise (RuntimeError if self.bug else UserError)(self.failures[-1])

    def enter(self, main: Callable[[], None]) -> None:
        """Run a Hydra main function and leave with an exit code: 0, 1 after a bug, 2 after bad input, 130 if interrupted."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill is a Ctrl-C
        os.environ["HYDRA_FULL_ERROR"] = "1"  # let Hydra raise its errors to here instead of printing them in its own words
        try:
            main()
        except (HydraException, OmegaConfBaseException) as error:
            self._fail("configuration", sentence(error))
        except UserError as error:
            self._fail("configuration", in_words(error))
        except OSError as error:  # Hydra makes the folder of a sweep
            self._fail("sweep", in_words(error))
        except KeyboardInterrupt:
            print("interrupted; nothing recorded is lost, the same command goes on from here", file=sys.stderr, flush=True)
            os._exit(EXIT_INTERRUPTED)  # children watch this process and end with it
        if len(self.failures) > 1:
            print(f"{len(self.failures)} jobs failed:", *self.failures, sep="\n  ", file=sys.stderr)
        if self.failures:
            sys.exit(EXIT_BUG if self.bug else EXIT_BAD_INPUT)


def sentence(error: Exception) -> str:
    """One sentence for an error of Hydra or OmegaConf: the name, the value, what is allowed."""
    if isinstance(error, OverrideParseException):
        return (
            f"the override {error.override!r} cannot be read: write name=value, with quotes inside quotes around "
            "a value with spaces, ~, = or letters beyond a-z: \"task.path='my file.csv'\""
        )
    text = " ".join(f"{error} {error.__cause__ or ''}".split())
    missing = re.search(r"Could not find '(\w+)/([^']*)'", text)
    if missing:
        group, choice = missing.groups()
        options = sorted(path.stem if path.suffix == ".yaml" else path.name for path in (CONF / group).glob("*.yaml"))
        return f"`{group}` is {choice!r}, but must be one of {', '.join(options)}{_nearest(choice, options)}"
    key = re.search(r"Key '([^']+)' is not in struct.*?full_key: (\S+)", text) or re.search(
        r"Key '([^']+)' not in '\w+'.*?full_key: (\S+)", text
    )
    if key:
        return f"there is no key `{key[2]}`{_nearest(key[1], _keys())}; `--help` shows every key"
    value = re.search(r"(Value .*? (?:could not be converted to \w+|is not a valid \w+)).*?full_key: (\S+)", text)
    if value:
        return f"`{value[2]}`: {value[1][0].lower()}{value[1][1:]}"
    must = re.search(r"Missing mandatory value: (\S+)", text)
    if must:
        return f"`{must[1]}` has no value: give one, for example {must[1]}=…"
    return text.split(" See https")[0]


def _nearest(word: str, options: list[str]) -> str:
    near = difflib.get_close_matches(word, options, n=1)
    return f"; did you mean {near[0]!r}?" if near and near[0] != word else ""


def _keys() -> list[str]:
    """Every key that stands in a YAML file of the configuration, for suggestions."""
    text = "\n".join(path.read_text() for path in CONF.rglob("*.yaml"))
    return sorted(set(re.findall(r"^\s*(\w+):", text, re.MULTILINE)))
