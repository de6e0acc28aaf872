"""Measure networks that are trained side by side on a device against the same ones one after the other, and against the processor.

python -m tests.perf.resident [--device cuda] [--shapes adult,vehicle] [--configurations 64] [--epochs 5] [--most 1,16,64]

Random numbers in the shapes of LCBench's tables. On a processor (cpu:0) it shows only that taking turns costs nothing.
"""

import argparse
import time

import torch

from pipeline.compiled import CompiledLearner
from pipeline.learner import Recipe
from pipeline.resident import ResidentLearner
from pipeline.schedules.schedule import learning_rate
from pipeline.spaces import lcbench
from pipeline.threads import one_thread
from pipeline.turns import Turns, finished
from tests.perf.trainer import SHAPES, table


def main() -> None:
    """Print a line for each shape and number of places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu:0")
    parser.add_argument("--shapes", default="adult,vehicle")
    parser.add_argument("--configurations", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--most", default="1,16,64")
    options = parser.parse_args()
    one_thread()
    for name in options.shapes.split(","):
        measure(name, options)


def measure(name: str, options: argparse.Namespace) -> None:
    """Train the same configurations in every way."""
    data, device, epochs = table(*SHAPES[name]), torch.device(options.device), options.epochs
    space = lcbench.space(data.info)
    space.space.seed(1)
    drawn = space.space.sample_configuration(options.configurations)
    recipes = [Recipe(space.settings(configuration), seed=i, horizon=50) for i, configuration in enumerate(drawn)]
    for learner in (CompiledLearner(data, recipes[0]), ResidentLearner(data, recipes[0], None, device)):
        finished(work(learner, 1))  # compiles, and wakes the device
    start = time.perf_counter()
    for recipe in recipes:
        finished(work(CompiledLearner(data, recipe), epochs))
    alone = time.perf_counter() - start
    print(f"{name}: {len(recipes)} configurations, {epochs} epochs: compiled, on one core, {alone:.1f} s", flush=True)
    for most in map(int, options.most.split(",")):
        start = time.perf_counter()
        for _ in Turns(most).results(work(ResidentLearner(data, recipe, None, device), epochs) for recipe in recipes):
            pass
        seconds = time.perf_counter() - start
        print(f"  {most} side by side on {device}: {seconds:.1f} s, {alone / seconds:.2f} x as fast", flush=True)


def work(learner, epochs):
    """All epochs of a learner, behind its set-up."""
    yield
    for epoch in range(epochs + 1):
        yield from learner.advancing(epoch, learning_rate(learner.recipe.settings, epoch, learner.recipe.horizon))


if __name__ == "__main__":
    main()
