"""Floor 2, put together and run: configuration, executors, the loop, the run directory."""
