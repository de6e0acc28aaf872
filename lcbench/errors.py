"""The one exception that is meant for a reader instead of a developer, and what a command makes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class UserError(ValueError):
    """Bad input, said in one sentence: the name, the value, what is allowed, and what to do next.

    `run.py` and `python -m lcbench` print the sentence without a traceback and exit with code 2.
    """


def in_words(error: UserError | OSError) -> str:
    """What a command prints: the sentence; and of no permission, no space, no such place (the file is the user's) its name and why."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def exit_code(work: Callable[[], int | None], interrupted: str = "interrupted; the same command begins again") -> int:
    """Do the work of a command and return its exit code: its own or 0; after bad input 2, after Ctrl-C 130, with a sentence on stderr."""
    try:
        return work() or 0
    except (UserError, OSError) as error:
        print(in_words(error), file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return EXIT_INTERRUPTED
