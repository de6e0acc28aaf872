"""What is compiled: one epoch of one dense network, its scores and the statistics of its gradients, by numba, on one thread.

Every function here has a readable counterpart that tests compare it with: torch's own layers (`pipeline.learner`), numpy's quantiles, or a
line of integer arithmetic. Compiled code is kept beside the source, so a machine compiles once, for half a minute.
"""
