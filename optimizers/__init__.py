"""Floor 1, how to choose: optimizers behind one ask/tell protocol; one method, one file."""
