"""Networks of the search spaces; one network, one file."""
