"""The training of a dense network that lives on a device, beside others: the curve of `pipeline.learner` from the same random streams.

Every step is a fixed sequence of operations on memory that stays where it is: which rows it takes, with what noise, at what rate is read
from that memory, and a counter there is moved on. So a step asks nothing of this machine, and on a graphics card it is one recorded graph
that is launched again. Networks of any shape and batch size take turns (`pipeline.turns`), on as many streams as torch has: while one waits
for its last step, the steps of hundreds of others fill the device, and nothing is padded to anything.

Notation: B rows of a batch, C outputs, L layers, P parameters; all as in `pipeline.flat`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lcbench.metric import Metric
from pipeline.flat import FlatLearner
from pipeline.gradients import statistic_names, statistics_on_device
from pipeline.kernels.descent import EPSILON
from pipeline.kernels.dropout import limit_and_scale
from pipeline.kernels.program import Batches
from pipeline.learner import EVALUATION_ROWS, Recipe
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SplitName
from pipeline.scores import ClassificationScores
from pipeline.turns import Work, finished

WORD = 0xFFFFFFFF
"""The bits of a 32-bit number; `mixed` counts in them within 64."""


class ResidentLearner(FlatLearner):
    """A learner whose data, numbers and scores are on a device; its torch network looks at the very numbers that are trained."""

    def __init__(self, data: Prepared, recipe: Recipe, metric: Metric | None = None, device: torch.device | None = None) -> None:
        """Build the network, and put everything that its steps read where it stays."""
        super().__init__(data, recipe, metric, device)
        device = self.parameters.device
        self.X, self.y = ({split: _on(device, values) for split, values in part.items()} for part in (data.X, data.y))
        if isinstance(self.scores, ClassificationScores):
            weights, divisors = (values.to(device) for values in (self.scores.weights, self.scores.divisors))
            self.scores = ClassificationScores(weights, self.scores.extra, divisors)
        n_steps = max(len(self.y["train"]) // self.size, 1)
        put = partial(torch.zeros, device=device)
        self.rows, self.partners = (put(n_steps, self.size, dtype=torch.int64) for _ in range(2))
        self.shares, self.at = put(n_steps), put(1, dtype=torch.int64)
        self.codes = put(max(len(self.dropouts), 1), 2, dtype=torch.int64)
        self.rate, self.taken = (put(1, dtype=torch.float64) for _ in range(2))
        self.seen = put(n_steps, self.size, data.info.n_outputs)
        self.names = [f"{part}_{name}" for part in ("train", *self.judged_on) for name in self.scores.names]
        self.names += statistic_names(len(self.network.linears))
        self.measured = put(len(self.names), dtype=torch.float64)
        self.evaluated = {split: put(len(self.y[split]), data.info.n_outputs) for split in self.judged_on}
        self.constants, self.epoch = self.rule(1, 0.0, n_steps), 0
        self.widths = [self.n_features, *(len(bias) for _, bias in self.weights)]
        drops = [limit_and_scale(layer.rate) for layer in self.dropouts]
        self.drops = [(int(limit), float(scale)) for limit, scale in drops]
        self.units = torch.arange(self.size * max(self.widths[1:]), device=device)
        self.launches = Launches(device)

    # ---------------------------------------------------------------------------------------------------------- an epoch

    def advance(self, epoch: int, rate: float) -> dict[str, float]:
        """Train one epoch at a learning rate (none in epoch 0), and measure, alone on the device."""
        return finished(self.advancing(epoch, rate))

    def advancing(self, epoch: int, rate: float) -> Work[dict[str, float]]:
        """`advance`, which gives way to others after every step, and while its last one is not done."""
        self.network.start_epoch(epoch)
        self.epoch = epoch
        batches = self.epoch_batches(epoch) if epoch else self.first_batch()
        self._load(batches, self.keys(), rate, (epoch - 1) * len(batches.shares))
        for _ in range(len(batches.shares)):
            self.launches.launch(self._step if epoch else self._find_gradient)
            yield
        self.launches.launch(self._measure)
        self.launches.mark()
        while not self.launches.done():
            yield
        self.outputs = dict(self.evaluated)
        return self._told(dict(zip(self.names, self.measured.tolist(), strict=True)))

    def _load(self, batches: Batches, keys: NDArray[np.uint32], rate: float, taken: int) -> None:
        """Put the numbers of an epoch where its steps look for them."""
        n_steps = len(batches.shares)
        for place, values in ((self.rows, batches.rows), (self.partners, batches.partners)):
            self.launches.put(place[:n_steps], torch.from_numpy(values).view(n_steps, self.size))
        self.launches.put(self.shares[:n_steps], torch.from_numpy(batches.shares))
        self.launches.put(self.codes[: len(keys)], torch.from_numpy(keys.astype(np.int64)))
        for place, value in ((self.rate, rate), (self.taken, taken), (self.at, 0)):
            self.launches.put(place, torch.tensor([value], dtype=place.dtype))

    def _told(self, found: dict[str, float]) -> dict[str, float]:
        """The columns of an entry; a metric that was asked for besides is scored on this machine, from the outputs."""
        if self.scores.extra is None:
            return found
        values = dict[str, float]()
        for part, outputs, y in self._scored():
            usual = [found.pop(f"{part}_{name}") for name in self.scores.names]
            values |= {f"{part}_{name}": value for name, value in self.scores.named(usual, outputs, y).items()}
        return values | found

    def _scored(self) -> list[tuple[str, Tensor, Tensor]]:
        """Outputs and targets of every part; those of the training rows are the steps' own, before there were any an evaluation."""
        if self.epoch:
            first = (self.seen.flatten(0, 1), self.y["train"].index_select(0, self.rows.flatten()))
        else:
            first = (self._outputs("train"), self.y["train"])
        return [("train", *first)] + [(split, self.evaluated[split], self.y[split]) for split in self.judged_on]

    # ------------------------------------------------------------------------------------- what is launched on the device

    def _step(self) -> None:
        """One batch forwards and backwards, and a step of the optimizer."""
        self._find_gradient()
        self._descend()
        self.at.add_(1)

    def _find_gradient(self) -> None:
        """Forwards and backwards over the batch that the counter points at."""
        rows, partners = (places.index_select(0, self.at)[0] for places in (self.rows, self.partners))
        share, X, y = self.shares.index_select(0, self.at), self.X["train"], self.y["train"]
        x = X.index_select(0, rows)
        if self.recipe.settings["augmentation"] == "mixup":
            x = share * x + (1 - share) * X.index_select(0, partners)
        activated, out = self._activations(x, noisy=True)
        self.seen.index_copy_(0, self.at, out[None])
        delta = self._loss_gradient(out, y.index_select(0, rows), y.index_select(0, partners), share)
        for layer in range(len(self.weights) - 1, -1, -1):
            weights, bias = self.changes[layer]
            torch.mm(delta.t(), activated[layer], out=weights)
            torch.sum(delta, 0, out=bias)
            if layer:  # through dropout and ReLU: the sign of a unit says whether it was kept and above zero
                change = torch.mm(delta, self.weights[layer][0]) * self.drops[layer - 1][1]
                delta = torch.where(activated[layer] <= 0, 0.0, change)

    def _activations(self, x: Tensor, *, noisy: bool) -> tuple[list[Tensor], Tensor]:  # (n, d) -> L times (n, a), (n, C)
        """What goes into every layer, and what comes out of the last."""
        activated = [x]
        for layer, (weights, bias) in enumerate(self.weights[:-1]):
            z = torch.addmm(bias, activated[-1], weights.t()).relu()
            activated.append(z * self._mask(layer) if noisy and self.drops[layer][1] != 1 else z)
        weights, bias = self.weights[-1]
        return activated, torch.addmm(bias, activated[-1], weights.t())

    def _mask(self, layer: int) -> Tensor:  # (B, b)
        """What dropout multiplies with, as `pipeline.kernels.dropout` draws it."""
        width = self.widths[layer + 1]
        n = self.size * width
        offset, multiplier = self.codes[layer, 0], self.codes[layer, 1]
        x = ((self.units[:n] + self.at * n) * 0x9E3779B9 + offset) & WORD
        x = ((x ^ (x >> 16)) * multiplier) & WORD
        x = ((x ^ (x >> 15)) * 0x846CA68B) & WORD
        limit, scale = self.drops[layer]
        return (((x ^ (x >> 16)) >= limit) * scale).view(self.size, width)

    def _loss_gradient(self, out: Tensor, y: Tensor, other: Tensor, share: Tensor) -> Tensor:  # (B, C), (B,), (B,), (1,) -> (B, C)
        """See `pipeline.kernels.losses`."""
        if not isinstance(self.scores, ClassificationScores):
            first, second = out - y[:, None], out - other[:, None]
            if self.recipe.settings["loss"] == "absolute":
                first, second = first.sign(), second.sign()
            else:
                first, second = 2 * first, 2 * second
            return (share * first + (1 - share) * second) / len(out)
        weights = self.scores.weights
        total = weights.index_select(0, y).sum()
        first, second = share * weights.index_select(0, y) / total, (1 - share) * weights.index_select(0, other) / total
        gradient = functional.softmax(out, 1) * (first + second)[:, None]
        gradient.scatter_add_(1, y[:, None], -first[:, None])
        return gradient.scatter_add_(1, other[:, None], -second[:, None])

    def _descend(self) -> None:
        """A step of the optimizer, as `pipeline.kernels.descent` takes it."""
        rule, rate = self.constants, self.rate.float()
        if not rule.adaptive:
            self.momenta.mul_(rule.momentum).add_(self.gradient).add_(self.parameters, alpha=rule.decay)
            self.parameters.sub_(rate * self.momenta)
            return
        number = self.taken + self.at + 1
        step = (self.rate / (1 - rule.momentum**number)).float()
        scale = (1 - rule.beta2**number).rsqrt().float()
        gradient = self.gradient if rule.decoupled else self.gradient + rule.decay * self.parameters
        self.momenta.mul_(rule.momentum).add_(gradient, alpha=1 - rule.momentum)
        self.squares.mul_(rule.beta2).addcmul_(gradient, gradient, value=1 - rule.beta2)
        if rule.decoupled:
            self.parameters.mul_(1 - rate * rule.decay)
        self.parameters.sub_(step * self.momenta / (self.squares.sqrt() * scale + EPSILON))

    def _measure(self) -> None:
        """Scores of all parts and the statistics of the last gradient."""
        for split in self.judged_on:
            self.evaluated[split].copy_(self._outputs(split))
        scores = [self.scores.usual(outputs, y) for _, outputs, y in self._scored()]
        self.measured.copy_(torch.cat([*scores, statistics_on_device(self.changes)]))

    def _outputs(self, split: SplitName) -> Tensor:  # (n, C)
        return torch.cat([self._activations(rows, noisy=False)[1] for rows in self.X[split].split(EVALUATION_ROWS)])


def _on(device: torch.device, values: NDArray[Any]) -> Tensor:
    """An array on a device; what is mapped from a file, as all trainings with the same preprocessing have it, lies there once."""
    file = getattr(values, "filename", None)
    if file is None:
        return torch.from_numpy(values).to(device)
    name = (str(file), values.shape, str(device))
    there = _THERE.get(name)
    if there is None:
        there = _THERE[name] = torch.from_numpy(values).to(device)
    return there


_THERE: WeakValueDictionary[tuple[Any, ...], Tensor] = WeakValueDictionary()


class Launches:
    """Works of one network in their order: at once on a processor, on a graphics card as graphs on a stream."""

    def __init__(self, device: torch.device) -> None:
        """Nothing is recorded yet; what was put on the device before comes first."""
        self._graphs: dict[str, Any] = {}
        self._stream, self._end, self._pool = None, None, None
        if device.type == "cuda":
            self._stream, self._end, self._pool = torch.cuda.Stream(device), torch.cuda.Event(), torch.cuda.graph_pool_handle()
            self._stream.wait_stream(torch.cuda.current_stream(device))

    def launch(self, work: Callable[[], None]) -> None:
        """Set a work going; it is recorded when it comes for the second time, for the first prepares the libraries that it calls."""
        with torch.no_grad(), torch.cuda.stream(self._stream) if self._stream else nullcontext():
            name = work.__name__
            if self._stream is None or name not in self._graphs:
                self._graphs[name] = None
                work()
                return
            if self._graphs[name] is None:
                self._graphs[name] = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self._graphs[name], pool=self._pool, stream=self._stream):  # they never run at the same time
                    work()
            self._graphs[name].replay()

    def put(self, place: Tensor, values: Tensor) -> None:
        """Write numbers of this machine to the device, after what was launched before."""
        if self._stream is None:
            place.copy_(values)
            return
        with torch.cuda.stream(self._stream):
            place.copy_(values.pin_memory(), non_blocking=True)

    def mark(self) -> None:
        """Remember what has been launched until now; other networks may use the same stream."""
        if self._end is not None:
            self._end.record(self._stream)

    def done(self) -> bool:
        """Whether everything up to the mark is done."""
        return self._end is None or bool(self._end.query())
