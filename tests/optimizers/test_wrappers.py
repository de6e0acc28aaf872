"""Portfolio and prior: wrappers that keep the protocol around every optimizer, and do what they say."""

import pickle

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace, ForbiddenGreaterThanRelation
from hydra.utils import instantiate
from scipy import integrate
from scipy.stats import wilcoxon

from lcbench.errors import UserError
from lcbench.query import Origin
from lcbench.space import encode, lcbench_space, sample
from optimizers.bohb import BOHB
from optimizers.optimizer import Optimizer
from optimizers.portfolio import Portfolio, read_members
from optimizers.prior import Beliefs, Prior
from optimizers.random_search import RandomSearch
from tests.fakes import OPTIMUM, FakeBenchmark, mixed_space
from tests.laws.test_optimizers import LADDER, SPACES, YAMLS, drive, few, said, settings

INNER = [name for name in YAMLS if name in {"random", "hyperband", "bohb", "asha", "dehb", "evolution", "tpe"}]
GOOD = {"learning_rate": {"mean": 1e-4 * 1000**OPTIMUM, "std": 0.1}, "momentum": {"mean": 0.1 + 0.89 * OPTIMUM, "std": 0.1}}
BAD = {"learning_rate": {"mean": 0.09, "std": 0.1}, "momentum": {"mean": 0.95, "std": 0.1}}
MIXED = {"mixed": {"optimizer": {"adam": 5.0}}, "lcbench": GOOD}


def inner(name, space, seed=0):
    return instantiate(settings(name))(space, LADDER, np.random.default_rng(seed))


def members(space, n):
    rng = np.random.default_rng(99)
    return [sample(space, rng) for _ in range(n)]


def with_portfolio(name, space, seed=0, n=6):
    return Portfolio(inner(name, space, seed), members(space, n))


def some_beliefs(space):
    """A belief about the first number of a space."""
    number = next(hp for hp in space.values() if hasattr(hp, "upper"))
    return {number.name: {"mean": number.default_value, "std": 0.2}}


def with_prior(name, space, seed=0, beliefs=None, **options):
    believed = Beliefs(space, some_beliefs(space) if beliefs is None else beliefs)
    return Prior(inner(name, space, seed), space, believed, np.random.default_rng(seed + 1000), **options)


@pytest.mark.parametrize("wrapped", [with_portfolio, with_prior])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", INNER)
def test_a_wrapper_keeps_the_laws(name, space, wrapped):
    space = SPACES[space]()
    optimizer, benchmark = wrapped(name, space), FakeBenchmark(space)
    assert isinstance(optimizer, Optimizer)
    n = few(inner(name, space), 90)
    asked, _ = drive(optimizer, benchmark, n, n_open=5, shuffle=np.random.default_rng(1), fails=0.2)
    latest = {}
    for query in asked:
        query.configuration.check_valid_configuration()
        if query.trial in latest:
            assert (query.origin, query.configuration) == (Origin.PROMOTION, latest[query.trial].configuration)
        latest[query.trial] = query
    assert said(asked) == said(drive(wrapped(name, space), benchmark, n, n_open=5, shuffle=np.random.default_rng(1), fails=0.2)[0])
    twin = pickle.loads(pickle.dumps(fresh := wrapped(name, space)))
    assert said(drive(fresh, benchmark, 20)[0]) == said(drive(twin, benchmark, 20)[0])


@pytest.mark.parametrize("name", INNER)
def test_the_members_come_first_and_in_their_order(name):
    space = lcbench_space()
    asked, _ = drive(with_portfolio(name, space), FakeBenchmark(space), 40)
    new = [query for query in asked if query.origin is not Origin.PROMOTION]
    assert [query.configuration for query in new[:6]] == members(space, 6)
    assert {query.origin for query in new[:6]} == {Origin.PORTFOLIO}
    assert Origin.PORTFOLIO not in {query.origin for query in new[6:]}


def test_the_brackets_spread_the_members_over_their_first_rungs():
    """With [8 4 2 1] [4 2 1], ten members fill the first rung of the first bracket and two places of the second's."""
    space = lcbench_space()
    asked, _ = drive(with_portfolio("hyperband", space, n=10), FakeBenchmark(space), 40)
    places = [(query.bracket, query.epoch) for query in asked if query.origin is Origin.PORTFOLIO]
    assert places == [(0, 6)] * 8 + [(1, 12)] * 2


def test_a_model_learns_from_members():
    space = lcbench_space()
    optimizer = with_portfolio("bohb", space, n=20)
    drive(optimizer, FakeBenchmark(space), 60)
    vectors = np.vstack([vectors for vectors, _ in optimizer._optimizer._observed.values()])
    for vector in encode(members(space, 8), space):
        assert (np.abs(vectors - vector).max(axis=1) < 1e-12).any()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("[{", "cannot be read"), ("{}", "must be a JSON list of objects"), ("[]", "must be a JSON list"), ('[{"lr": 1}]', "no member of")],
)
def test_a_bad_file_of_members_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "members.json").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_members(tmp_path / "members.json", lcbench_space())
    with pytest.raises(UserError, match="cannot be read"):
        read_members(tmp_path / "none.json", lcbench_space())


# ------------------------------------------------------------------------------------------------------------------ beliefs


def test_a_belief_is_a_density_on_the_cube():
    space = lcbench_space()
    believed = Beliefs(space, {"momentum": {"mean": 0.9, "std": 0.2}})
    j = list(space).index("momentum")

    def density(x):
        point = np.full((1, len(space)), 0.5)
        point[0, j] = x
        return np.exp(believed.log_density(point)[0])

    assert integrate.quad(density, 0, 1)[0] == pytest.approx(1)
    draws = np.array([believed.draw(np.random.default_rng(seed))[j] for seed in range(2000)])
    expected = integrate.quad(lambda x: x * density(x), 0, 1)[0]
    assert draws.mean() == pytest.approx(expected, abs=4 * draws.std() / np.sqrt(len(draws)))


def test_a_belief_about_a_category_is_a_share_per_choice():
    space = mixed_space()
    name, hp = next((name, hp) for name, hp in space.items() if len(getattr(hp, "choices", ())) > 2)
    believed = Beliefs(space, {name: {hp.choices[1]: 3.0}})
    j, c = list(space).index(name), len(hp.choices)
    points = np.full((c, len(space)), 0.5)
    points[:, j] = (np.arange(c) + 0.5) / c
    densities = np.exp(believed.log_density(points))
    assert densities.mean() == pytest.approx(1)  # a density over c cells of width 1 / c
    assert densities.argmax() == 1
    assert densities.min() > 0
    draws = [believed.draw(np.random.default_rng(seed))[j] for seed in range(300)]
    assert np.isclose(draws, points[1, j]).mean() > 0.9


@pytest.mark.parametrize(
    ("beliefs", "sentence"),
    [
        ({"lr": {"mean": 1, "std": 1}}, "`beliefs` has 'lr', but the hyperparameters are"),
        ({"momentum": 0.5}, r"`beliefs\.momentum` is 0.5, but must be \{mean: number, std: number\}"),
        ({"momentum": {"mean": 0.5, "std": "wide"}}, r"`beliefs\.momentum` is .*, but must be \{mean: number"),
        ({"momentum": {"mean": 5.0, "std": 0.1}}, r"`beliefs\.momentum` is .* mean in 0.1..0.99"),
        ({"momentum": {"mean": 0.5, "std": 0.0}}, "std above 0"),
        ({"momentum": {"mean": 0.5}}, "must be a mean"),
    ],
)
def test_a_bad_belief_is_refused(beliefs, sentence):
    with pytest.raises(ValueError, match=sentence):
        Beliefs(lcbench_space(), beliefs)


def test_a_bad_weight_is_refused():
    with pytest.raises(ValueError, match="`beta` is 0"):
        with_prior("random", lcbench_space(), beta=0)


def best_after(optimizer, n_asks):
    _, results = drive(optimizer, FakeBenchmark(lcbench_space()), n_asks)
    return min(result.loss for result in results)


@pytest.mark.parametrize("name", ["random", "bohb"])
def test_right_beliefs_help_early(name):
    space = lcbench_space()
    gains = [best_after(inner(name, space, seed), 15) - best_after(with_prior(name, space, seed, GOOD), 15) for seed in range(20)]
    assert wilcoxon(gains, alternative="greater").pvalue < 0.01


@pytest.mark.parametrize("name", ["random", "bohb"])
def test_wrong_beliefs_fade(name):
    """They hurt at first; after 300 asks they are not told apart from none."""
    space = lcbench_space()
    early = [best_after(with_prior(name, space, seed, BAD, beta=20.0), 15) - best_after(inner(name, space, seed), 15) for seed in range(20)]
    late = [best_after(with_prior(name, space, seed, BAD), 300) - best_after(inner(name, space, seed), 300) for seed in range(20)]
    assert np.mean(early) > 0
    assert wilcoxon(late, alternative="greater", zero_method="zsplit").pvalue > 0.01
    assert np.mean(late) < np.mean(early) / 2


def test_without_a_prior_nothing_changes_in_bohb():
    space, benchmark = lcbench_space(), FakeBenchmark(lcbench_space())
    flat = BOHB(space, LADDER, np.random.default_rng(0))
    flat.weigh(lambda points: np.zeros(len(points)), 10.0)
    assert said(drive(flat, benchmark, 150)[0]) == said(drive(BOHB(space, LADDER, np.random.default_rng(0)), benchmark, 150)[0])


def test_the_weight_of_a_model_is_that_of_the_paper():
    """With everything else equal the candidate of higher prior is proposed: the score moves by -beta / n log pi."""
    space, benchmark = lcbench_space(), FakeBenchmark(lcbench_space())
    optimizer = BOHB(space, LADDER, np.random.default_rng(0), random_fraction=0.0)
    optimizer.weigh(lambda points: -1e9 * (points[:, 0] > 0.5), 10.0)
    asked, _ = drive(optimizer, benchmark, 150)
    proposed = encode([query.configuration for query in asked if query.origin is Origin.MODEL], space)
    assert len(proposed) > 20
    assert (proposed[:, 0] <= 0.5).mean() > 0.95


@pytest.mark.parametrize("name", ["cmaes", "freeze_thaw", "evolution", "dehb"])
def test_a_method_that_cannot_weigh_gives_way_wherever_it_begins_a_trial(name):
    space = lcbench_space()
    optimizer = with_prior(name, space, beliefs=GOOD, beta=1e9)
    asked, _ = drive(optimizer, FakeBenchmark(space), 40)
    assert {query.origin for query in asked} <= {Origin.PRIOR, Origin.PROMOTION}
    assert sum(query.origin is Origin.PRIOR for query in asked) > 3


def test_beliefs_about_what_is_inactive_say_nothing():
    """Also where a model has filled the entry in."""
    space = mixed_space()
    name, hp = next((name, space[name]) for name in space if space.parent_conditions_of[name] and hasattr(space[name], "upper"))
    believed = Beliefs(space, {name: {"mean": hp.default_value, "std": 0.1}})
    configurations = [sample(space, np.random.default_rng(seed)) for seed in range(40)]
    points = encode(configurations, space)
    filled = np.where(np.isnan(points), 0.5, points)
    active = np.array([name in configuration for configuration in configurations])
    assert 0 < active.sum() < 40
    densities = believed.log_density(filled)
    assert (densities[~active] == 0).all()
    assert (densities[active] != 0).all()
    np.testing.assert_array_equal(densities, believed.log_density(points))


@pytest.mark.parametrize("wrapped", [with_portfolio, with_prior])
def test_a_wrapper_is_as_costly_as_what_it_wraps(wrapped):
    assert wrapped("bo", lcbench_space()).costly
    assert not wrapped("bohb", lcbench_space()).costly


def test_draws_from_the_prior_become_rare():
    space = lcbench_space()
    optimizer = Prior(
        RandomSearch(space, LADDER, np.random.default_rng(0)), space, Beliefs(space, GOOD), np.random.default_rng(1), beta=10.0
    )
    asked, _ = drive(optimizer, FakeBenchmark(space), 400)
    from_prior = np.array([query.origin is Origin.PRIOR for query in asked])
    assert from_prior[0]
    expected = sum(10 / (10 + n) for n in range(400))
    assert from_prior.sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_a_forbidden_draw_from_the_beliefs_leaves_the_optimizers_own():
    space = ConfigurationSpace(space={"x": (0.0, 1.0), "y": (0.0, 1.0)})
    space.add(ForbiddenGreaterThanRelation(space["x"], space["y"]))
    beliefs = Beliefs(space, {"x": {"mean": 0.95, "std": 0.01}, "y": {"mean": 0.05, "std": 0.01}})
    own, wrapped = (RandomSearch(space, LADDER, np.random.default_rng(0)) for _ in range(2))
    wrapped = Prior(wrapped, space, beliefs, np.random.default_rng(1), beta=1e6)
    for _ in range(20):
        assert wrapped.ask() == own.ask()
