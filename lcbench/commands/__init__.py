"""What ``python -m lcbench`` can do: one verb, one file, each with `add` (its options) and `run` (its work)."""
