"""The journal: what was acknowledged is read back, and any damage stays local."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench import journal as journal_module
from lcbench.errors import UserError
from lcbench.journal import Contents, Damage, Journal, Tail, iter_records, read_journal, repair_journal

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))  # codec=None: surrogates too
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8)
records = st.dictionaries(st.text(), values, max_size=4)
RECORDS = [{"kind": "epoch", "epoch": i, "name": 'ü"\n\\', "values": {"a": i / 7, "b": float("inf")}} for i in range(5)]


def write(path, some, **options):
    with Journal(path, **options) as journal:
        for record in some:
            journal.append(record)
    return path


def same(a, b):
    """Equal, with NaN equal to NaN and 1 different from 1.0 and True."""
    return repr(a) == repr(b)


@given(st.lists(records, max_size=5))
def test_round_trip(tmp_path_factory, some):
    path = write(tmp_path_factory.mktemp("journal") / "a.journal", some)
    assert same(read_journal(path), Contents(some, [], False))
    assert same(list(iter_records(path)), some)
    assert same(Tail(path).poll(), some)


def test_the_format_is_a_line_of_length_checksum_and_json(tmp_path):
    """Other languages read it too, so it is fixed to the byte."""
    path = write(tmp_path / "a.journal", [{"a": 0.1, "b": "ü"}])
    assert path.read_bytes() == b'00000016 8bbc7806 {"a":0.1,"b":"\\u00fc"}\n'


def test_truncation_at_any_byte_loses_only_the_last_record(tmp_path):
    data = write(tmp_path / "a.journal", RECORDS).read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    path = tmp_path / "cut.journal"
    for n in range(len(data) + 1):
        path.write_bytes(data[:n])
        n_whole = sum(end <= n for end in ends)
        assert read_journal(path) == Contents(RECORDS[:n_whole], [], torn=n not in {0, *ends}), n
        write(path, [{"next": n}])  # a resumed writer cuts the torn line off
        assert read_journal(path) == Contents([*RECORDS[:n_whole], {"next": n}], [], False), n


def test_flipping_any_byte_loses_at_most_one_record(tmp_path):
    data = write(tmp_path / "a.journal", RECORDS).read_bytes()
    path = tmp_path / "flipped.journal"
    for n in range(len(data)):
        for mask in (1, 2, 32, 128, 255, data[n] ^ ord("\n")):
            if mask == 0:
                continue
            path.write_bytes(data[:n] + bytes([data[n] ^ mask]) + data[n + 1 :])
            contents = read_journal(path)
            lost = [record for record in RECORDS if record not in contents.records]
            assert [record for record in RECORDS if record not in lost] == contents.records, "a record was invented or moved"
            assert len(lost) <= (data[n] != ord("\n")), (n, mask, lost)  # the end of a record is known without its newline
            assert contents.damage or contents.torn, (n, mask)
            assert all(0 <= piece.offset <= n < piece.offset + piece.length for piece in contents.damage), (n, mask, contents.damage)


@given(st.binary(max_size=60), st.integers(0, len(RECORDS)))
def test_foreign_bytes_between_records_lose_nothing_after_the_next_newline(tmp_path_factory, junk, position):
    directory = tmp_path_factory.mktemp("journal")
    before = write(directory / "a.journal", RECORDS[:position]).read_bytes()
    after = write(directory / "b.journal", RECORDS[position:]).read_bytes()
    path = directory / "c.journal"
    path.write_bytes(before + junk + b"\n" + after)
    assert read_journal(path).records == RECORDS
    assert repair_journal(path).records == RECORDS
    assert read_journal(path) == Contents(RECORDS, [], False)


def test_damage_says_where_and_why(tmp_path):
    path = write(tmp_path / "a.journal", RECORDS[:2])
    good = path.read_bytes()
    path.write_bytes(good + b"hello\n" + b"00000002 00000000 {}\n" + good)
    contents = read_journal(path)
    assert contents.records == RECORDS[:2] * 2
    assert contents.damage == [Damage(len(good), 27, "the header of a record is unreadable")]
    for payload, reason in ((b"[1]", "a record is not a JSON object"), (b"{a}", "a record is not JSON")):
        path.write_bytes(b"%08x %08x %b\n" % (3, journal_module.zlib.crc32(payload), payload))
        assert read_journal(path).damage == [Damage(0, 22, reason)]


WRITER = """
import os, sys
from lcbench.journal import Journal
journal = Journal(sys.argv[1], sync_seconds=0.05)
i = int(sys.argv[2])
while True:
    journal.append({"i": i, "values": {f"column_{j}": i / (j + 1) for j in range(60)}})
    os.write(1, b"%d\\n" % i)  # acknowledged
    i += 1
"""


def test_kill_9_loses_no_acknowledged_record(tmp_path):
    path, n = tmp_path / "a.journal", 0
    rng = random.Random(0)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", WRITER, path, str(n)], stdout=subprocess.PIPE) as writer:
            first = writer.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.2))
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged = [int(line) for line in (first + writer.stdout.read()).split(b"\n")[:-1]]
        contents = read_journal(path)
        found = [record["i"] for record in contents.records]
        assert found == list(range(len(found)))
        assert n <= acknowledged[-1] < len(found) <= acknowledged[-1] + 2
        assert not contents.damage
        n = len(found)


def test_a_tail_reads_what_a_reader_reads(tmp_path):
    path = tmp_path / "a.journal"
    tail = Tail(path)
    assert tail.poll() == []  # the file is not there yet
    data = write(tmp_path / "whole.journal", RECORDS).read_bytes()
    data = data[:200] + b"X" + data[201:]  # one damaged record on the way
    found = []
    for n in range(0, len(data) + 7, 7):
        path.write_bytes(data[:n])
        found += tail.poll()
        assert found == read_journal(path).records
    assert len(found) == len(RECORDS) - 1
    assert tail.poll() == []


def test_a_tail_notices_that_its_journal_was_replaced(tmp_path):
    path = write(tmp_path / "a.journal", RECORDS)
    tail = Tail(path)
    tail.poll()
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.journal became shorter while it was followed"):
        tail.poll()


def test_repair_keeps_what_is_readable_and_the_original(tmp_path):
    path = write(tmp_path / "a.journal", RECORDS)
    for kept in ("a.journal.damaged", "a.journal.damaged2"):
        damaged = bytearray(path.read_bytes())
        damaged[30] ^= 1  # a record
        damaged[damaged.index(b"\n", 150)] ^= 1  # a newline
        path.write_bytes(damaged + b"torn")
        before = read_journal(path)
        assert repair_journal(path) == before
        assert read_journal(path) == Contents(before.records, [], False)
        assert (tmp_path / kept).read_bytes() == damaged + b"torn"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.journal", "a.journal.damaged", "a.journal.damaged2"]


def test_repair_leaves_a_healthy_journal_alone(tmp_path):
    path = write(tmp_path / "a.journal", RECORDS)
    before = path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()
    assert repair_journal(path) == Contents(RECORDS, [], False)
    assert (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_short_write_raises_and_leaves_the_journal_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.journal"
    real = os.write
    with Journal(path) as journal:
        journal.append(RECORDS[0])
        monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:30]))
        with pytest.raises(OSError, match=r"only 30 of \d+ bytes of a record could be written"):
            journal.append(RECORDS[1])
        monkeypatch.undo()
        assert read_journal(path) == Contents(RECORDS[:1], [], False)
        journal.append(RECORDS[2])
    assert read_journal(path).records == [RECORDS[0], RECORDS[2]]


def test_a_full_disk_leaves_a_readable_journal(tmp_path):
    """The real thing: the system call writes what fits below a limit of the file size."""
    path = tmp_path / "a.journal"
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));" + WRITER
    writer = subprocess.run([sys.executable, "-c", program, path, "0"], capture_output=True, text=True)
    assert "bytes of a record could be written" in writer.stderr
    acknowledged = [int(i) for i in writer.stdout.split()]
    contents = read_journal(path)
    assert [record["i"] for record in contents.records] == acknowledged != []
    assert not contents.damage and not contents.torn


def test_the_disk_is_waited_for_at_most_once_per_period_and_on_close(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(journal_module, "_sync", synced.append)
    with Journal(tmp_path / "a.journal", sync_seconds=3600) as journal:
        for record in RECORDS:
            journal.append(record)
        assert not synced
        journal.sync_seconds = 0
        journal.append(RECORDS[0])
        assert len(synced) == 1
    assert len(synced) == 2


def test_one_record_is_one_write(tmp_path, monkeypatch):
    written = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: written.append(data) or real(descriptor, data))
    write(tmp_path / "a.journal", RECORDS)
    assert len(written) == len(RECORDS)


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "a.journal"
    with Journal(path) as journal:
        with pytest.raises(TypeError):
            journal.append({"a": object()})
        journal.append({"a": 1})
    assert read_journal(path) == Contents([{"a": 1}], [], False)


def test_a_closed_journal_refuses_records(tmp_path):
    journal = Journal(tmp_path / "a.journal")
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match=r"the journal .*a\.journal is closed"):
        journal.append({})


def test_a_missing_journal_is_an_error_for_a_reader(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_journal(tmp_path / "none.journal")
