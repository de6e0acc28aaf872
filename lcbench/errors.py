"""The one exception that is meant for a reader instead of a developer."""


class UserError(ValueError):
    """Bad input, said in one sentence: the name, the value, what is allowed, and what to do next.

    `run.py` and `python -m lcbench` print the sentence without a traceback and exit with code 2.
    """
