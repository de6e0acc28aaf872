"""Measure the compiled training against a classic loop and against the tight loop of `pipeline.learner`, one thread each.

python -m tests.perf.trainer [--shapes adult,vehicle,volkert] [--configurations 16] [--epochs 1] [--space apt2021]

Random configurations of LCBench's space, or of another (then without the classic loop), on tables of random numbers; every configuration
is trained by all three, an epoch each in turn, behind one that is not counted, another of them first each time. What is compared is the
processor time of an epoch with the scores of all three splits and the statistics of the gradients. Goals on LCBench's space: at least 3.5
times as fast as the classic loop on adult and volkert, 6 times on vehicle; scores, statistics and journal at most a tenth of an epoch on
adult.
"""

import argparse
import os
import tempfile
import time
from importlib import import_module
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np
import torch
from scipy.linalg.blas import sgemm
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from torch.utils.data import DataLoader, TensorDataset

from lcbench.journal import Journal
from lcbench.recording import epoch_record
from lcbench.task import TaskInfo
from pipeline.compiled import CompiledLearner
from pipeline.gradients import gradient_statistics
from pipeline.learner import Learner, Recipe
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SPLITS
from pipeline.schedules.schedule import learning_rate

SHAPES = {"adult": (48842, 108, 2), "vehicle": (846, 18, 4), "volkert": (58310, 180, 10)}
"""Rows, columns behind the encoding of categories, classes."""


EVALUATION_ROWS = 1024
"""Rows per batch with which the classic loop evaluates."""
REPEATS = 5
"""So many times logging is timed; the median counts."""


class Classic:
    """What is usually written: batches by a DataLoader (large ones to evaluate), scikit-learn's metrics, numpy's percentiles."""

    def __init__(self, data: Prepared, recipe: Recipe) -> None:
        learner = Learner(data, recipe)
        layers: list[torch.nn.Module] = []
        for layer, dropout in zip(learner.network.linears, [*learner.network.body.dropouts, None], strict=True):
            layers.append(torch.nn.Linear(layer.in_features, layer.out_features))
            layers += [torch.nn.ReLU(), torch.nn.Dropout(min(dropout.rate, 1))] if dropout is not None else []
        self.network, settings = torch.nn.Sequential(*layers), recipe.settings
        about = {"momentum": settings["sgd.momentum"], "weight_decay": settings["sgd.weight_decay"]}
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.0, **about)
        self.loss = torch.nn.CrossEntropyLoss(learner.scores.weights)
        sets = {split: TensorDataset(learner.X[split], learner.y[split]) for split in SPLITS}
        size = min(settings["batch_size"], len(learner.y["train"]))
        self.loaders = {split: DataLoader(sets[split], EVALUATION_ROWS) for split in ("val", "test")}
        self.loaders["train"] = DataLoader(sets["train"], size, shuffle=True, drop_last=True)

    def advance(self, epoch: int, rate: float) -> dict[str, float]:
        """One epoch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        values = self._measure("train", self._train())
        for split in ("val", "test"):
            self.network.eval()
            with torch.no_grad():
                values |= self._measure(split, [(self.network(x), y) for x, y in self.loaders[split]])
        layers = [[p.grad.numpy().ravel() for p in layer.parameters()] for layer in self.network if isinstance(layer, torch.nn.Linear)]
        for gradients in [np.concatenate([g for layer in layers for g in layer]), *(np.concatenate(layer) for layer in layers)]:
            values["q"] = float(np.percentile(gradients, [10, 25, 50, 75, 90])[0] + gradients.max() + gradients.mean() + gradients.std())
        return values

    def _train(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        self.network.train()
        seen = []
        for x, y in self.loaders["train"]:
            self.optimizer.zero_grad()
            output = self.network(x)
            self.loss(output, y).backward()
            self.optimizer.step()
            seen.append((output.detach(), y))
        return seen

    def _measure(self, split: str, seen: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
        outputs, y = torch.cat([output for output, _ in seen]), torch.cat([y for _, y in seen])
        shares, decided = torch.softmax(outputs, 1).numpy().astype(np.float64), outputs.argmax(1).numpy()
        shares /= shares.sum(1, keepdims=True)
        labels = np.arange(outputs.shape[1])
        values = (accuracy_score(y, decided), balanced_accuracy_score(y, decided), log_loss(y, shares, labels=labels))
        return {f"{split}_{name}": value for name, value in zip(("accuracy", "balanced_accuracy", "cross_entropy"), values, strict=True)}


TRAINERS = {"classic": Classic, "tight": Learner, "compiled": CompiledLearner}


def main() -> None:
    """Measure and print a table per shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--configurations", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--space", default="lcbench")
    options = parser.parse_args()
    torch.set_num_threads(1)
    peak = _peak()
    print(f"one thread multiplies float32 matrices at {peak / 1e9:.0f} GFLOP/s at most")
    for name in options.shapes.split(","):
        measure(f"{options.space} on {name}", table(*SHAPES[name]), options, peak)


def measure(name: str, data: Prepared, options: argparse.Namespace, peak: float) -> None:
    """Train every configuration by all three, in turn."""
    space = import_module(f"pipeline.spaces.{options.space}").space(data.info)
    n_configurations, epochs = options.configurations, options.epochs
    space.space.seed(1)
    trainers = {trainer: build for trainer, build in TRAINERS.items() if trainer != "classic" or options.space == "lcbench"}
    taken, ideal, logging = [], 0.0, 0.0
    for i, configuration in enumerate(space.space.sample_configuration(n_configurations)):
        recipe = Recipe(space.settings(configuration), seed=i, horizon=50)
        learners = {trainer: build(data, recipe) for trainer, build in trainers.items()}
        taken.append(_epochs(learners, recipe, epochs, i))
        compiled = learners["compiled"]
        ideal += epochs * _work(compiled) / peak
        logging += epochs * _logging(compiled)
    seconds = dict(zip(trainers, np.array(taken).T, strict=True))
    total = {trainer: values.sum() for trainer, values in seconds.items()}
    print(f"{name}: {n_configurations} configurations, {data.info.n_train} rows to train on, {epochs} epoch(s) of each")
    for trainer, values in seconds.items():
        ratio, median = total[trainer] / total["compiled"], np.median(values / seconds["compiled"])
        mean = total[trainer] / n_configurations / epochs
        print(f"  {trainer:9} {mean * 1e3:8.1f} ms per epoch, {ratio:5.2f} x compiled in all, {median:5.2f} x in the median,", end=" ")
        print(f"{ideal / total[trainer]:.0%} of the time are ideal matrix products")
    print(f"  scores of all rows, statistics and journal: {logging / total['compiled']:.1%} of a compiled epoch", flush=True)


def table(n: int, d: int, n_classes: int) -> Prepared:
    """Random numbers, split as OpenML and LCBench do: a third to test, of the rest a third to validate."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)).astype(np.float32)
    y = np.digitize(X[:, 0] + rng.standard_normal(n), np.linspace(-1, 1, n_classes - 1) if n_classes > 2 else [0.0])
    cuts = np.cumsum([round(n * 0.67 * 0.67), round(n * 0.67 * 0.33)])
    parts = [dict(zip(SPLITS, np.split(array, cuts), strict=True)) for array in (X, y)]
    info = TaskInfo("random", "classification", None, 0, "made up", *(len(part) for part in parts[1].values()), d, n_classes, 0)
    return Prepared(info, *parts)


def _epochs(learners: dict, recipe: Recipe, epochs: int, number: int) -> list[float]:
    """Processor seconds of each, for the first epochs; a first pass comes before and is not counted."""
    seconds = dict.fromkeys(learners, 0.0)
    for learner in learners.values():
        learner.advance(0, 0.0)
    for epoch in range(1, epochs + 1):
        for name in np.roll(list(learners), number + epoch).tolist():
            start = time.process_time()
            learners[name].advance(epoch, learning_rate(recipe.settings, epoch, recipe.horizon))
            seconds[name] += time.process_time() - start
    return list(seconds.values())


def _work(learner: CompiledLearner) -> float:
    """Floating-point operations of the matrix products of an epoch: three per layer and row in training, one at evaluation."""
    sizes = [layer.in_features * layer.out_features for layer in learner.network.linears]
    n_train, n_judged = learner.size * (len(learner.y["train"]) // learner.size), len(learner.y["val"]) + len(learner.y["test"])
    return 2.0 * (n_train * (3 * sum(sizes) - sizes[0]) + n_judged * sum(sizes))


def _logging(learner: CompiledLearner) -> float:
    """Seconds, waiting for the disk included, of the scores of all rows, of the statistics, and of a record."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal") as journal:
        for _ in range(REPEATS):
            start = time.perf_counter()
            for split in SPLITS:
                learner.scores(learner.outputs[split], learner.y[split])
            values = gradient_statistics(learner._gradients())
            journal.append(epoch_record(trial=0, horizon=50, epoch=1, seconds=1.0, values=values))
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _peak() -> float:
    """Operations per second of large products."""
    a = np.asfortranarray(np.random.default_rng(0).random((512, 512)).astype(np.float32))
    c, best = np.zeros((512, 512), np.float32, order="F"), 0.0
    for _ in range(50):
        start = time.perf_counter()
        sgemm(1.0, a, a, c=c, overwrite_c=1)
        best = max(best, 2 * 512**3 / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    main()
