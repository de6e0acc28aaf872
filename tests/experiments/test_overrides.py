"""How the command line of a study is read: separators inside of brackets separate nothing, and what is wrong is one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.overrides import LONGEST, as_list, of_label, seeds, split
from lcbench.errors import UserError

BELIEFS = "bohb:prior=beliefs:prior.beliefs={learning_rate: {mean: 0.01, std: 0.1}}"


@given(st.lists(st.text(alphabet="abc=. ", min_size=0), min_size=1))
def test_without_brackets_a_split_is_pythons(pieces):
    assert split(":".join(pieces), ":") == ":".join(pieces).split(":")


@given(st.lists(st.sampled_from(["a", "b=1", "c={d: 1, e: {f: 2}}", "g=[1,2]", "h='x:,y'", 'i="{"']), min_size=1))
@pytest.mark.parametrize("separator", [":", ","])
def test_brackets_and_quotes_hold_together(separator, pieces):
    assert split(separator.join(pieces), separator) == pieces


def test_a_list_of_optimizers_may_hold_beliefs():
    assert as_list(f"optimizers=bohb,{BELIEFS}") == f"optimizers=['bohb','{BELIEFS}']"
    assert as_list("tasks=vehicle, car") == "tasks=['vehicle','car']"
    assert as_list("name=a,b") == "name=a,b"


def test_settings_behind_colons_are_of_the_optimizer_its_portfolio_or_its_prior():
    assert of_label("bohb:n_candidates=8") == ["optimizer=bohb", "optimizer.n_candidates=8"]
    assert of_label(BELIEFS) == ["optimizer=bohb", "prior=beliefs", "prior.beliefs={learning_rate: {mean: 0.01, std: 0.1}}"]


@pytest.mark.parametrize("word", ["optimizer=random", "task=vehicle", "seed=0"])
def test_the_words_of_a_single_run_are_answered_with_those_of_a_study(word):
    name, value = word.split("=")
    with pytest.raises(UserError, match=f"a study has no `{name}`: write {name}s={value}"):
        as_list(word)


def test_a_label_says_what_is_wrong_with_it():
    with pytest.raises(UserError, match="'bohb:step', where 'step' has no value: write bohb:step=value"):
        of_label("bohb:step")
    with pytest.raises(UserError, match=f"at most {LONGEST}"):
        of_label("bohb:" + "a" * LONGEST)


def test_seeds_are_numbers_and_ranges_each_once():
    assert seeds(["0..3", "2", "7"]) == [0, 1, 2, 3, 7]
    assert seeds(5) == [5]
