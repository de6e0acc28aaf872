"""How far the curves of torch's layers, of the compiled training and of networks on a device lie apart, from the same random streams.

python -m tests.perf.pairs [--task vehicle] [--configurations 20] [--epochs 50]: OpenML tasks need the cache. Printed per configuration: the
largest difference of the validation loss at any epoch, absolute and as a share of the loss; networks that diverge are compared until then.
"""

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np

from experiments.collect import composed
from experiments.collection import Draws
from pipeline.compiled import CompiledLearner
from pipeline.learner import Learner, Recipe
from pipeline.preprocessing.cache import prepared
from pipeline.preprocessing.raw import RawTable
from pipeline.resident import ResidentLearner
from pipeline.schedules.schedule import learning_rate
from pipeline.spaces import lcbench
from pipeline.tasks import Task
from pipeline.threads import one_thread


def main() -> None:
    """Train every configuration three times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="vehicle")
    parser.add_argument("--configurations", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=50)
    options = parser.parse_args()
    one_thread()
    task = load(options.task)
    space = lcbench.space(task.info)
    draws, worst = Draws(space.space, space.space, 0), np.zeros((options.configurations, 2, 2))
    with tempfile.TemporaryDirectory() as folder:
        RawTable.of(task).save(Path(folder) / "raw")
        for i in range(options.configurations):
            recipe = Recipe(space.settings(draws.configuration(i)), seed=1, horizon=options.epochs)
            data = prepared(Path(folder), recipe.settings, recipe.seed, task.info)
            layers, *others = (losses(build(data, recipe), options.epochs) for build in (Learner, CompiledLearner, ResidentLearner))
            for k, other in enumerate(others):
                both = np.isfinite(layers) & np.isfinite(other)
                apart = np.abs(layers - other)[both]
                worst[i, k] = apart.max(), (apart / layers[both]).max()
                if (np.isfinite(layers) != np.isfinite(other)).any():
                    ends = [int(np.isfinite(curve).sum()) - 1 for curve in (layers, other)]
                    print(f"configuration {i}: torch's layers diverge after epoch {ends[0]}, the others after {ends[1]}")
            (compiled, share), (resident, _) = worst[i]
            print(f"configuration {i:2}: compiled {compiled:.2e} ({share:.1e} of the loss), resident {resident:.2e}", flush=True)
    for k, name in enumerate(("compiled", "resident")):
        median, most = np.median(worst[:, k, 0]), worst[:, k, 0].max()
        print(f"{options.task}, {options.epochs} epochs, {name} against torch's layers: at most {most:.2e}, in the median {median:.2e}")


def load(name: str) -> Task:
    """A task by name, as collections load it."""
    from experiments import build

    _, runs = composed([f"tasks={name}"])
    return build.build_task(runs[name])


def losses(learner: Learner, epochs: int) -> np.ndarray:  # (epochs + 1,)
    """The validation loss after every epoch, NaN once it is not finite."""
    found = np.full(epochs + 1, np.nan)
    for epoch in range(epochs + 1):
        found[epoch] = learner.advance(epoch, learning_rate(learner.recipe.settings, epoch, learner.recipe.horizon))["val_loss"]
        if not math.isfinite(found[epoch]):
            break
    return found


if __name__ == "__main__":
    main()
