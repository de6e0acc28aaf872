"""Search spaces of the pipeline; one space, one file, and the choices they are made of in `choices.py`."""
