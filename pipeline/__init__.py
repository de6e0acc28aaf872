"""Floor 1, how one configuration is trained: tasks, preprocessing, networks, training, one trial in one sandbox."""
