"""The surrogate benchmark's model: curves of configurations that nobody has trained, learned from those that somebody has.

`fit_surrogate` learns one metric of one task, measures on held-out configurations how well, and chooses the best of several
models; a `Surrogate` predicts whole curves with NumPy alone. Arrays in, arrays out: files are not its business.
"""

from lcbench.surrogate.fitting import fit_surrogate
from lcbench.surrogate.models import Surrogate

__all__ = ["Surrogate", "fit_surrogate"]
