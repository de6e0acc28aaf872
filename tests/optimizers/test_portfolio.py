"""Members from a file: every format, what is adapted or skipped, and what is said about it."""

import json

import numpy as np
import pytest
from ConfigSpace import Categorical, ConfigurationSpace

from lcbench.errors import UserError
from lcbench.space import lcbench_space, plain, sample
from optimizers.portfolio import read_members
from optimizers.portfolio_file import portfolio_text, read_portfolio

MEMBERS = [plain(sample(lcbench_space(), np.random.default_rng(seed))) for seed in range(3)]


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "members.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.mark.parametrize(
    "content", [MEMBERS, {"portfolio": 1, "members": MEMBERS}, portfolio_text({"name": "mine", "space": "x"}, MEMBERS)]
)
def test_a_list_and_our_format_are_read_alike(written, content):
    members, notes = read_members(written(content), lcbench_space())
    assert [plain(member) for member in members] == MEMBERS
    assert notes == []


def test_our_format_comes_back_with_its_header(written):
    header, behind = {"name": "mine", "licence": "CC0"}, {"diagnostics": {"regret": [0.5]}}
    file = read_portfolio(written(portfolio_text(header, MEMBERS, behind)))
    assert (file.members, file.header, file.notes) == (MEMBERS, header | behind, [])


def test_each_number_that_is_moved_and_each_member_that_is_skipped_has_its_note(written):
    path = written([MEMBERS[0], MEMBERS[1] | {"batch_size": 1000}, MEMBERS[2] | {"momentum": "high"}, {"lr": 1}])
    members, notes = read_members(path, lcbench_space())
    assert [plain(member) for member in members] == [MEMBERS[0], MEMBERS[1] | {"batch_size": 512}]
    assert notes == [
        "member 1: batch_size 1000 is clipped to 512",
        f"member 2 of {path} is skipped: `momentum` is 'high', but must be a number in 0.1..0.99",
        f"member 3 of {path} is skipped: 1 of its 1 hyperparameters are unknown to the space 'lcbench': 'lr'",
    ]


def test_what_is_missing_or_unknown_in_all_is_said_once(written):
    short = [{name: member[name] for name in member if name not in ("momentum", "max_units")} | {"nesterov": True} for member in MEMBERS]
    short[2]["scaler"] = "robust"
    members, notes = read_members(written(short), lcbench_space())
    assert {member["momentum"] for member in members} == {lcbench_space()["momentum"].default_value}
    assert notes == [
        "missing in all 3 members, so that the default counts: max_units = 256, momentum = 0.545",
        "not in the space 'lcbench', so dropped from all 3 members: nesterov",
        "not in the space 'lcbench', so dropped from member 2: scaler",
    ]


def test_a_choice_that_is_not_offered_is_never_replaced(written):
    space = ConfigurationSpace(name="mlps")
    space.add(Categorical("network", ["shaped_mlp"]))
    path = written({"portfolio": 1, "space": "apt2021", "members": [{"network": "shaped_resnet"}, {"network": "shaped_mlp"}]})
    members, notes = read_members(path, space)
    assert [plain(member) for member in members] == [{"network": "shaped_mlp"}]
    assert notes == [f"member 0 of {path} is skipped: `network` is 'shaped_resnet', but the space offers shaped_mlp"]
    path = written({"portfolio": 1, "space": "apt2021", "members": [{"network": "shaped_resnet"}]})
    with pytest.raises(UserError, match=r"no member of .* made for the space 'apt2021', is legal in the space 'mlps'; the first"):
        read_members(path, space)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[{", "cannot be read"),
        ("{}", "is no portfolio: it must be a JSON list of objects"),
        ("[]", "is no portfolio"),
        ("[1]", "is no portfolio"),
        ("7", "is no portfolio"),
        ('{"portfolio": 1, "members": {}}', "is no portfolio"),
        ('{"portfolio": 2, "members": [{}]}', "has `portfolio` 2, but this code reads version 1"),
        ('{"members": [{}]}', "has `portfolio` None"),
        ("[{}]", "the first: member 0 of .* is skipped: it is empty"),
    ],
)
def test_a_bad_file_is_one_sentence(written, text, sentence):
    with pytest.raises(UserError, match=sentence):
        read_members(written(text), lcbench_space())


def test_bytes_that_are_no_text_and_no_file_are_one_sentence(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.json", "none.json", "."):
        with pytest.raises(UserError, match="cannot be read"):
            read_members(tmp_path / name, lcbench_space())
