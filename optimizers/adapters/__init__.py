"""Other people's optimizers behind our ask/tell protocol; each runs in a process of its own, with its own versions of everything."""
