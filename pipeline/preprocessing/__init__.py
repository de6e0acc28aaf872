"""From a typed table to the arrays that a network trains on; everything is fitted on the training rows alone."""
