"""A conversation with a process that dies, hangs, prints, raises: each ends in a sentence, none in an endless wait."""

import sys
from pathlib import Path

import pytest

from optimizers.adapters import interpreters, process
from optimizers.adapters.errors import PeerError, UnsupportedError
from optimizers.adapters.process import Process, process_of

ORDER = {"method": "", "space": {}, "epochs": [50], "eta": 2, "seed": 1}


@pytest.fixture
def peer(library):
    running = Process(library, Path(sys.executable), patience=20.0)
    yield running
    running.close()


def new(peer, seed=1, **settings):
    return peer.new(**{**ORDER, "seed": seed}, settings=settings)


def test_asks_are_answered(peer):
    name = new(peer)
    said = peer.request("ask", id=name)
    assert (said["job"], said["key"], said["epoch"]) == (0, "0", 50)
    assert peer.request("tell", id=name, job=0, loss=0.5, configuration=None) is None


def test_what_a_library_prints_does_not_disturb(peer):
    name = new(peer, at={"0": ["print('{}')", "os.system('echo noise')", "os.write(1, b'[]')"]})
    assert peer.request("ask", id=name)["job"] == 0


def test_a_library_that_raises_is_quoted_and_lives_on(peer):
    name = new(peer, raises="no idea")
    peer.request("ask", id=name)
    with pytest.raises(PeerError, match=r"colorsys failed at `tell`:[\s\S]*ZeroDivisionError: no idea"):
        peer.request("tell", id=name, job=0, loss=0.5, configuration=None)
    assert peer.request("ask", id=name)["job"] == 1


def test_a_refusal_is_a_sentence_for_the_user(peer):
    with pytest.raises(UnsupportedError, match=r"^colorsys knows no such space$"):
        new(peer, refuses=True)


def test_a_process_that_dies_leaves_its_last_words(peer):
    name = new(peer, at={"0": ["print('farewell'), sys.stdout.flush()", "os._exit(3)"]})
    with pytest.raises(PeerError, match=r"process of colorsys died; the last lines that it wrote:\nfarewell"):
        peer.request("ask", id=name)
    assert not peer.alive
    with pytest.raises(PeerError, match="died"):
        peer.request("ask", id=name)


def test_a_process_that_hangs_is_ended(library):
    peer = Process(library, Path(sys.executable), patience=1.0)
    name = new(peer, at={"0": ["time.sleep(60)"]})
    with pytest.raises(PeerError, match="colorsys gave no answer for 1 seconds and was ended"):
        peer.request("ask", id=name)
    assert not peer.alive


def test_an_interrupted_conversation_ends(peer, monkeypatch):
    name = new(peer)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(peer, "_readline", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            peer.request("ask", id=name)
    assert not peer.alive  # its late answer cannot be taken for another one


def raise_interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("line", ["gibberish", "[1]", '{"other": 1}'])
def test_a_process_that_talks_nonsense_is_ended(library, line):
    (process.SERVERS / "protocol.py").write_text(f"import sys, time\nprint({line!r}, flush=True)\nsys.stdin.read()")
    peer = Process(library, Path(sys.executable), patience=20.0)
    with pytest.raises(PeerError, match=r"colorsys answered .* which is no answer"):
        new(peer)
    assert not peer.alive


def test_a_library_that_cannot_be_imported_says_why(library):
    (process.SERVERS / "colorsys.py").write_text("import there_is_no_such_module\n")
    with pytest.raises(PeerError, match="No module named 'there_is_no_such_module'"):
        new(Process(library, Path(sys.executable)))


def test_global_generators_belong_to_one_optimizer(peer):
    """Asked in turns, two optimizers draw from the global generators what each draws alone."""
    alone, again, other = new(peer), new(peer), new(peer, seed=2)
    wanted = [peer.request("ask", id=alone)["configuration"] for _ in range(4)]
    got = []
    for _ in range(4):
        got.append(peer.request("ask", id=again)["configuration"])
        assert peer.request("ask", id=other)["configuration"] != got[-1]
    assert got == wanted


def test_dropped_optimizers_are_forgotten(peer):
    name, kept = new(peer), new(peer)
    peer.drop(name)
    assert peer.request("ask", id=kept)["job"] == 0
    with pytest.raises(PeerError, match="KeyError"):
        peer.request("ask", id=name)


def test_the_project_is_hidden_and_strings_hash_alike(peer, monkeypatch):
    name = new(peer, at={"0": ["assert 'PYTHONPATH' not in os.environ", "assert os.environ['PYTHONHASHSEED'] == '0'"]})
    assert peer.request("ask", id=name)["job"] == 0


def test_a_session_ends_with_its_input(peer):
    peer.close()
    assert peer._popen.returncode == 0


def test_one_process_serves_until_it_ends(library):
    first = process_of(library)
    assert process_of(library) is first
    first.close()
    assert process_of(library) is not first


def test_a_fork_starts_a_process_of_its_own(library, monkeypatch):
    first = process_of(library)
    monkeypatch.setattr(process.os, "getpid", lambda: -1)
    assert process_of(library) is not first


def test_the_servers_import_nothing_of_ours():
    for path in interpreters.SERVERS.glob("*.py"):
        assert not any(
            line.strip().startswith(("import lcbench", "from lcbench", "from optimizers")) for line in path.read_text().splitlines()
        )
