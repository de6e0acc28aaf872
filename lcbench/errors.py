"""The one exception that is meant for a reader instead of a developer, and what a command prints of it."""


class UserError(ValueError):
    """Bad input, said in one sentence: the name, the value, what is allowed, and what to do next.

    `run.py` and `python -m lcbench` print the sentence without a traceback and exit with code 2.
    """


def in_words(error: UserError | OSError) -> str:
    """What a command prints: the sentence; and of no permission, no space, no such place (the file is the user's) its name and why."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
