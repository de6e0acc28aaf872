"""Networks of the search spaces; one network, one file (those with `space` and `build`), and the layers they are made of."""
