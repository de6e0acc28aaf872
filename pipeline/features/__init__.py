"""Feature preprocessors that a search space can choose from; one preprocessor, one file, and what several of them share beside them.

They see scaled numbers and indicators, never the codes of embedded columns, and accept any shape: one column, a handful of rows,
constant columns.
"""
