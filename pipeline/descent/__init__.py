"""Rules of gradient descent that a search space can choose from; one rule, one file."""
