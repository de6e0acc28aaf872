"""Measure the surrogate of a shipped task against a network of the size of YAHPO Gym's, served by onnxruntime.

python -m tests.perf.surrogate [--task vehicle] [--database DB]

The peer is no file of YAHPO Gym's but an equal network: inputs, outputs and layout of its lcbench model, three hidden layers of
512 units, which makes the 2.1 MB that its model.onnx has. It is asked in the way that suits it best, all epochs of a curve in
one call, without YAHPO Gym's own checks and encoding. It answers for six targets at once and our models for one each, so the
ratio is given for one target and for six. One thread each, medians, in one process, alternating: 200 calls in a row each, as in a
study, and *cold*, a single call each, where either finds the caches full of the other's numbers.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from lcbench.database import SHIPPED, Database
from lcbench.space import encode, sample
from lcbench.surrogate.models import Surrogate

EPOCHS, BATCH, WIDTH = 52, 1000, 512
TARGETS = 6
SIX = ("seconds", "val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_cross_entropy", "test_balanced_accuracy")
GOAL = 10.0


def equal_network() -> onnxruntime.InferenceSession:
    """x_cat (n, 1) int32 and x_cont (n, 8) float32 -> (n, 6), as YAHPO Gym's lcbench model, with weights drawn at random."""
    rng = np.random.default_rng(0)
    nodes, weights, before, width = [], [], "x", 12
    weights.append(numpy_helper.from_array(rng.standard_normal((34, 4)).astype(np.float32), "embedding"))
    nodes += [helper.make_node("Gather", ["embedding", "x_cat"], ["embedded3"]), helper.make_node("Flatten", ["embedded3"], ["embedded"])]
    nodes.append(helper.make_node("Concat", ["embedded", "x_cont"], ["x"], axis=1))
    for i, units in enumerate((WIDTH, WIDTH, WIDTH, TARGETS)):
        weights.append(numpy_helper.from_array((rng.standard_normal((width, units)) / np.sqrt(width)).astype(np.float32), f"w{i}"))
        weights.append(numpy_helper.from_array(np.zeros(units, np.float32), f"b{i}"))
        nodes.append(helper.make_node("Gemm", [before, f"w{i}", f"b{i}"], [f"h{i}"]))
        before, width = f"h{i}", units
        if units == WIDTH:
            nodes.append(helper.make_node("Relu", [before], [f"r{i}"]))
            before = f"r{i}"
    inputs = [
        helper.make_tensor_value_info("x_cat", TensorProto.INT32, ["n", 1]),
        helper.make_tensor_value_info("x_cont", TensorProto.FLOAT, ["n", 8]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info(before, TensorProto.FLOAT, ["n", TARGETS])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data = model.SerializeToString()
    onnx.checker.check_model(model)
    print(f"peer: onnxruntime {onnxruntime.__version__}, equal network of {len(data) / 1e6:.2f} MB")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def median_seconds(*works, repeats, in_a_row):
    """Median time of each piece of work; they alternate, each done `in_a_row` times at once."""
    times = [[] for _ in works]
    for _ in range(repeats):
        for work, found in zip(works, times, strict=True):
            start = time.perf_counter()
            for _ in range(in_a_row):
                work()
            found.append((time.perf_counter() - start) / in_a_row)
    return [statistics.median(found) for found in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="vehicle")
    parser.add_argument("--database", type=Path, default=SHIPPED)
    options = parser.parse_args()
    database = Database(options.database)
    models = {m.column: Surrogate.from_arrays(dict(m.arrays), dict(m.about)) for m in database.fitted(options.task)}
    space = database.table(options.task).space
    rng = np.random.default_rng(1)
    X = encode([sample(space, rng) for _ in range(BATCH)], space)
    peer, one = equal_network(), models["val_accuracy"]
    rows = np.concatenate(
        [np.repeat(rng.random((BATCH, 7), np.float32), EPOCHS, 0), np.tile(np.arange(1, 53, dtype=np.float32), BATCH)[:, None]], 1
    )
    task = np.zeros((len(rows), 1), np.int32)
    curve = {"x_cat": task[:EPOCHS], "x_cont": np.ascontiguousarray(rows[:EPOCHS])}
    batch = {"x_cat": task, "x_cont": rows}
    numbers = iter(range(10**9))
    told = f"{one.report['chosen']}, {one.report['n_configurations']} configurations, {one.n_bytes / 1e3:.0f} kB"
    print(f"{options.task}: val_accuracy by {told}")
    cases = (
        ("one curve, one target, cold", lambda: one.predict_one(X[next(numbers) % BATCH]), lambda: peer.run(None, curve), (200, 1)),
        ("one curve, one target", lambda: one.predict_one(X[next(numbers) % BATCH]), lambda: peer.run(None, curve), (15, 200)),
        (
            "one curve, six targets",
            lambda: [models[c].predict_one(X[next(numbers) % BATCH]) for c in SIX],
            lambda: peer.run(None, curve),
            (15, 200),
        ),
        ("1000 curves, one target", lambda: one.predict(X), lambda: peer.run(None, batch), (7, 1)),
        ("1000 curves, six targets", lambda: [models[c].predict(X) for c in SIX], lambda: peer.run(None, batch), (7, 1)),
    )
    print(f"{'':28}{'ours':>12}{'peer':>12}{'ratio':>9}")
    for name, ours, theirs, (repeats, in_a_row) in cases:
        mine, other = median_seconds(ours, theirs, repeats=repeats, in_a_row=in_a_row)
        met = ("met" if other / mine >= GOAL else "MISSED") if name.endswith("one target") else ""
        print(f"{name:28}{mine * 1e6:9.0f} us{other * 1e6:9.0f} us{other / mine:8.1f}x  {met and f'goal {GOAL:.0f}x: {met}'}")


if __name__ == "__main__":
    main()
