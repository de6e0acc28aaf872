"""Traditional learners that join the networks in the ensemble; one learner, one file, fixed settings."""
