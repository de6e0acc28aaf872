"""Floor 3, from records to tables and figures."""
