"""The laws of every file in analysis/figures: a golden table, a drawing that computes nothing, a footer, room for all names."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from analysis.__main__ import FIGURES, figure, known
from analysis.options import AXES, STATISTICS, Options
from analysis.render import finished, footer, render
from analysis.study import Study
from lcbench.errors import UserError
from tests.analysis.fakes import on_disk
from tests.analysis.golden import FOLDER, N_SEEDS, OPTIONS

NAMES = sorted(path.stem for path in FIGURES.glob("*.py") if path.stem != "__init__")
FACTS = ("a fact", "another fact")
TWENTY = {f"{word}{i}": (0.3 + 0.04 * i, 1.0, (10, 20, 50)[i % 3]) for i, word in enumerate(["method", "bo", "long_name_"] * 7)}
TWENTY = {"random": (0.5, 1.0, 50), **dict(list(TWENTY.items())[:19])}


@pytest.fixture(params=NAMES)
def module(request):
    return figure(request.param)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("studies") / "fake", N_SEEDS)


def pixels(drawn):
    drawn.canvas.draw()
    return np.asarray(drawn.canvas.buffer_rgba()).copy()


def read_back(table):
    return pd.read_csv(io.StringIO(table.to_csv(index=False)))


def test_every_file_is_a_figure(module):
    assert module.TITLE
    assert len(module.CAPTION.split()) > 30, "a caption says what is drawn and how to read it"
    assert known() == [*dict.fromkeys(known())]
    assert set(known()) == set(NAMES)


def test_the_table_is_the_golden_one(module, study):
    golden = pd.read_csv(FOLDER / f"{module.__name__.rpartition('.')[2]}.csv")
    pd.testing.assert_frame_equal(read_back(module.table(study, OPTIONS)), golden, rtol=1e-9, check_dtype=False)


def test_making_a_table_changes_nothing_and_repeats(module, study):
    before = study.trajectories.copy(deep=True)
    first, again = module.table(study, OPTIONS), module.table(Study(before.copy(), study.about, path=study.path), OPTIONS)
    pd.testing.assert_frame_equal(study.trajectories, before)
    pd.testing.assert_frame_equal(first, again)


def test_a_drawing_needs_only_the_table_as_it_is_in_the_csv(module, study):
    table = module.table(study, OPTIONS)
    assert np.array_equal(pixels(finished(module, table, FACTS)), pixels(finished(module, read_back(table), FACTS)))


def test_drawing_computes_nothing(module, study, monkeypatch):
    table = module.table(study, OPTIONS)
    before = table.copy(deep=True)
    drawn = pixels(finished(module, table, FACTS))
    pd.testing.assert_frame_equal(table, before)

    def refuse(*_, **__):
        raise AssertionError("draw computes")

    for name, value in vars(module).items():
        if getattr(value, "__module__", "") in ("analysis.aggregate", "analysis.significance", "analysis.study"):
            monkeypatch.setattr(module, name, refuse)
    assert np.array_equal(pixels(finished(module, table, FACTS)), drawn)


def test_another_table_is_another_drawing(module, study):
    table = module.table(study, OPTIONS)
    other = table.copy()
    name = next(column for column in ("rank", "value", "median", "losses") if column in other)
    other.loc[other["optimizer"] == other["optimizer"].iloc[-1], name] += 1
    assert not np.array_equal(pixels(finished(module, table, FACTS)), pixels(finished(module, other, FACTS)))


def test_the_footer_says_what_a_figure_rests_on(module, study):
    _, drawn = render(module, study, OPTIONS)
    said = drawn.get_supxlabel().replace("\n", " ")
    for fact in footer(study, OPTIONS):
        assert fact in said
    for needed in (
        "tabular benchmark",
        "3 tasks",
        "5 seeds",
        "incumbent: every_epoch",
        "axis: epochs, promotions continued",
        "1,000 epochs",
    ):
        assert needed in said
    for needed in ("trials continue", "1 worker", "overhead not counted"):
        assert needed in said


def test_the_footer_says_how_dense_the_tables_are(study):
    tasks = {task: about | {"n_configurations": n} for (task, about), n in zip(study.about["tasks"].items(), (1000, 200, 200), strict=True)}
    assert "200 to 1,000 configurations per task" in footer(Study(study.trajectories, study.about | {"tasks": tasks}), OPTIONS)
    assert not any("per task" in fact for fact in footer(study, OPTIONS))


def test_the_footer_says_the_contrary_of_the_contrary(study):
    other = Study(
        study.trajectories, study.about | {"continue_trials": False, "workers": 4, "counts_overhead": True, "incumbent": "max_budget"}
    )
    said = " ".join(footer(other, Options(axis="seconds")))
    for needed in ("retrained", "4 workers", "overhead counted", "max_budget", "simulated seconds", "by task (smallest end of any run)"):
        assert needed in said


@pytest.mark.parametrize("n_optimizers", [2, 20])
def test_every_name_has_room(module, n_optimizers, tmp_path):
    study = on_disk(tmp_path, 3, dict(list(TWENTY.items())[:n_optimizers]))
    try:
        _, drawn = render(module, study, OPTIONS)
    except UserError as error:
        assert n_optimizers == 2  # a figure may need more, and says so
        assert "at least 3 optimizers" in str(error)
        return
    drawn.canvas.draw()
    for text in [text for text in _texts(drawn) if text.get_text().strip()]:
        box = text.get_window_extent()
        assert box.x0 > -1, text.get_text()
        assert box.x1 < drawn.bbox.width + 1, text.get_text()
        assert box.y0 > -1, text.get_text()
        assert box.y1 < drawn.bbox.height + 1, text.get_text()
    for axes in drawn.axes:
        # the extent of an annotation has its leader in it, that of its text does not
        boxes = [(text.get_text(), Text.get_window_extent(text).shrunk(0.98, 0.75)) for text in axes.texts]
        for (first, a), (second, b) in itertools.combinations(boxes, 2):
            assert not a.overlaps(b), f"{first} lies on {second}"


def _texts(drawn):
    """Every text but tick labels outside the limits of an axis, which exist and are not drawn."""
    yield from drawn.texts
    yield from (text for legend in drawn.legends for text in legend.get_texts())
    for axes in drawn.axes:
        yield from (*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            yield from (tick.label1 for tick in axis.get_major_ticks() if tick.label1.get_visible() and low <= tick.get_loc() <= high)
            yield from (tick.label2 for tick in axis.get_major_ticks() if tick.label2.get_visible() and low <= tick.get_loc() <= high)


@pytest.mark.parametrize(("axis", "statistic"), list(itertools.product(AXES, STATISTICS)))
def test_every_axis_and_statistic(axis, statistic, study):
    options = Options(axis=axis, statistic=statistic, share=0.5, n_points=5, n_boot=20)
    for name in ("regret", "speedup", "critical_difference"):
        table = figure(name).table(study, options)
        assert (table["axis"] == axis).all()


@pytest.mark.parametrize(("n_seeds", "laws"), [(1, None), (1, {"random": (0.5, 1.0, 50)}), (2, {"a": (1.0, 1.0, 20), "b": (0.5, 1.0, 20)})])
def test_small_studies_are_drawn_or_refused_in_a_sentence(module, n_seeds, laws, tmp_path):
    try:
        pixels(render(module, on_disk(tmp_path, n_seeds, laws), OPTIONS)[1])
    except UserError as error:
        assert "leave this figure out" in str(error)
