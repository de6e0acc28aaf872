"""Downloads from a server that drops connections, ignores ranges, changes its file, refuses, and lies about the length."""

import fcntl
import hashlib
import json
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lcbench import download
from lcbench.download import PUBLISHED, fetch, unpack
from lcbench.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Remote:
    """What the server serves, and how badly."""

    def __init__(self):
        self.content, self.etag, self.modified = CONTENT, '"one"', None
        self.ranges, self.honest, self.sized = True, True, True
        self.drops = []
        """Bytes after which the next connections end; None lets one through."""
        self.statuses = []
        """Answers to the next requests, with their headers, instead of the file."""
        self.between = lambda: None
        """Called before every request."""
        self.asked = []
        """Ranges that were asked for."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        remote = self.server.remote
        remote.between()
        remote.asked.append(self.headers["Range"])
        self.close_connection = True
        if remote.statuses:
            status, headers = remote.statuses.pop(0)
            return self._answer(status, {"Content-Length": "0", **headers}, b"")
        asked, total = self.headers["Range"], len(remote.content)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and remote.ranges else 0
        condition = self.headers["If-Range"]
        if start and remote.honest and condition and condition != remote.etag:
            start = 0
        if start and start >= total:
            return self._answer(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"}, b"")
        body = remote.content[start:]
        headers = {"Content-Length": str(len(body))} if remote.sized else {}
        headers |= {"ETag": remote.etag} if remote.etag else {}
        headers |= {"Last-Modified": remote.modified} if remote.modified else {}
        headers |= {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if start else {}
        limit = remote.drops.pop(0) if remote.drops else None
        self._answer(206 if start else 200, headers, body if limit is None else body[:limit])

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def remote():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    server.remote = Remote()
    server.remote.url = f"http://127.0.0.1:{server.server_port}/files/1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.remote
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that would have been made."""
    made = []
    monkeypatch.setattr(download.time, "sleep", made.append)
    return made


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "data.zip"


def _only(target):
    return [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_file_is_fetched_and_nothing_else_is_left(remote, target):
    seen = []
    assert fetch(remote.url, target, md5=MD5, size=len(CONTENT), progress=lambda *state: seen.append(state)) == target
    assert target.read_bytes() == CONTENT
    assert _only(target)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_sha256_takes_precedence(remote, target):
    assert fetch(remote.url, target, sha256=SHA256.upper(), md5="0" * 32).read_bytes() == CONTENT


@pytest.mark.parametrize("known", [{"md5": MD5}, {"sha256": SHA256}, {"size": len(CONTENT)}, {}])
def test_what_is_there_is_not_fetched_again(remote, target, known):
    fetch(remote.url, target, **known)
    fetch(remote.url, target, **known)
    assert remote.asked == [None]


@pytest.mark.parametrize("known", [{"md5": MD5}, {"size": len(CONTENT)}])
def test_what_is_there_but_differs_is_replaced(remote, target, known):
    target.parent.mkdir()
    target.write_bytes(CONTENT[:-1])
    assert fetch(remote.url, target, **known).read_bytes() == CONTENT


def test_dropped_connections_are_resumed_where_they_ended(remote, target, pauses):
    remote.drops = [100_000, 50_000, 1, 0]
    fetch(remote.url, target, md5=MD5)
    assert target.read_bytes() == CONTENT
    assert remote.asked == [None, "bytes=100000-", "bytes=150000-", "bytes=150001-", "bytes=150001-"]
    assert pauses == [1, 1, 1, 2]  # only an attempt that brought nothing makes the next pause longer


def test_the_next_call_goes_on_too(remote, target, pauses):
    remote.drops = [100_000, 0]
    with pytest.raises(UserError, match=r"2 attempts in a row .* 100000 bytes are kept in '.*data\.zip\.partial'"):
        fetch(remote.url, target, md5=MD5, attempts=2)
    assert not target.exists()
    fetch(remote.url, target, md5=MD5)
    assert target.read_bytes() == CONTENT
    assert remote.asked[-1] == "bytes=100000-"
    assert _only(target)


def test_a_whole_partial_file_is_only_checked(remote, target, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(download, "_check", _interrupt)
        fetch(remote.url, target, md5=MD5)
    fetch(remote.url, target, md5=MD5)
    assert target.read_bytes() == CONTENT
    assert remote.asked == [None]


def _interrupt(*arguments):
    raise KeyboardInterrupt


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changes_in_between_starts_anew(remote, target, pauses, honest):
    remote.content, remote.drops, remote.honest = b"x" * 200_000, [100_000], honest  # a dishonest server ignores If-Range
    requests = iter(range(9))

    def change():
        if next(requests) == 1:
            remote.content, remote.etag = CONTENT, '"two"'

    remote.between = change
    fetch(remote.url, target)
    assert target.read_bytes() == CONTENT


def test_a_file_of_another_size_is_another_file(remote, target, pauses):
    remote.etag, remote.drops = None, [100_000]
    remote.between = lambda: setattr(remote, "content", CONTENT if remote.asked else b"x" * 200_000)
    fetch(remote.url, target, md5=MD5)
    assert target.read_bytes() == CONTENT
    assert remote.asked == [None, "bytes=100000-", None]


def test_a_file_that_became_shorter_starts_anew(remote, target, pauses):
    remote.drops, remote.honest = [200_000], False
    remote.between = lambda: setattr(remote, "content", CONTENT[:1000] if remote.asked else CONTENT)
    fetch(remote.url, target)
    assert target.read_bytes() == CONTENT[:1000]
    assert remote.asked == [None, "bytes=200000-", None]


def test_a_server_that_ignores_ranges_is_asked_for_everything(remote, target, pauses):
    remote.ranges, remote.drops = False, [100_000, 200_000]
    fetch(remote.url, target, md5=MD5)
    assert target.read_bytes() == CONTENT
    assert len(remote.asked) == 3


def test_last_modified_will_do_for_an_etag(remote, target, pauses):
    remote.etag, remote.modified, remote.drops = None, "Mon, 20 Jan 2020 10:00:00 GMT", [100_000]
    fetch(remote.url, target)
    assert target.read_bytes() == CONTENT
    assert remote.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize(("known", "asked"), [({}, [None, None]), ({"md5": MD5}, [None, "bytes=100000-"])])
def test_what_nothing_is_known_of_is_resumed_only_if_a_checksum_decides(remote, target, pauses, known, asked):
    remote.etag, remote.drops = None, [100_000]
    fetch(remote.url, target, **known)
    assert target.read_bytes() == CONTENT
    assert remote.asked == asked


@pytest.mark.parametrize("status", [500, 503, 429, 202])
def test_busy_servers_are_asked_again_after_growing_pauses(remote, target, pauses, status):
    remote.statuses = [(status, {})] * 4
    fetch(remote.url, target, md5=MD5, pause=0.5)
    assert target.read_bytes() == CONTENT
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_the_server_may_ask_for_a_longer_pause_but_not_for_ever(remote, target, pauses):
    remote.statuses = [
        (429, {"Retry-After": "7"}),
        (503, {"Retry-After": "86400"}),
        (503, {"Retry-After": "Fri, 31 Dec 1999"}),
    ]
    fetch(remote.url, target)
    assert pauses == [7, 60, 4]


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_refusal_is_final(remote, target, pauses, status):
    remote.statuses = [(status, {})]
    with pytest.raises(UserError, match=f"the server answers {status} .*: check the address"):
        fetch(remote.url, target)
    assert len(remote.asked) == 1
    assert not list(target.parent.iterdir())


def test_a_server_that_never_answers_well_is_given_up(remote, target, pauses):
    remote.statuses = [(500, {})] * 9
    with pytest.raises(UserError, match=r"3 attempts in a row failed .*500"):
        fetch(remote.url, target, attempts=3)
    assert pauses == [1, 2]


def test_no_server_at_all(target, pauses):
    with pytest.raises(UserError, match=r"2 attempts in a row failed .*refused"):
        fetch("http://127.0.0.1:9/nothing", target, attempts=2)


def test_a_length_that_promises_too_much_is_a_drop(remote, target, pauses):
    remote.drops = [len(CONTENT) - 5] + [0] * 9
    with pytest.raises(UserError, match="the connection ended after 299995 of 300000 bytes"):
        fetch(remote.url, target, attempts=3)
    assert not target.exists()


def test_another_size_than_published_is_refused_before_it_is_fetched(remote, target):
    with pytest.raises(UserError, match="has 300000 bytes instead of 299999"):
        fetch(remote.url, target, size=299_999)
    assert not list(target.parent.iterdir())


def test_another_size_is_found_even_if_the_server_does_not_say_it(remote, target):
    remote.sized = False
    with pytest.raises(UserError, match="sent has 300000 bytes instead of 299999 and was deleted"):
        fetch(remote.url, target, size=299_999)
    assert fetch(remote.url, target).read_bytes() == CONTENT


@pytest.mark.parametrize("known", [{"md5": "0" * 32}, {"sha256": "0" * 64}])
def test_a_wrong_checksum_leaves_nothing_and_says_what_to_do(remote, target, known):
    with pytest.raises(UserError, match=r"instead of 0+ and was deleted: fetch it again, and if this repeats"):
        fetch(remote.url, target, **known)
    assert not list(target.parent.iterdir())


def test_a_wrong_checksum_leaves_an_old_file_as_it_was(remote, target):
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(UserError, match="was deleted"):
        fetch(remote.url, target, md5="0" * 32)
    assert target.read_bytes() == b"old"


def test_a_damaged_note_or_one_of_another_address_starts_anew(remote, target, pauses):
    for note in (b"{", b"[]", json.dumps({"url": "http://other", "etag": '"one"', "modified": None, "total": 300_000}).encode()):
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        (target.parent / "data.zip.partial").write_bytes(b"garbage")
        (target.parent / "data.zip.partial.json").write_bytes(note)
        assert fetch(remote.url, target).read_bytes() == CONTENT
    assert remote.asked == [None] * 3


def test_a_full_disk_is_noticed_before(remote, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(UserError, match=r"needs 0\.3 MB, but 0\.0 MB are free"):
        fetch(remote.url, target)


def test_a_place_that_cannot_be_written_is_named(remote, target):
    target.parent.write_text("a file where a directory is wanted")
    with pytest.raises(UserError, match=r"data\.zip' cannot be written"):
        fetch(remote.url, target)


def test_two_processes_do_not_write_one_file(remote, target):
    target.parent.mkdir()
    with (target.parent / "data.zip.partial").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is being written by another process"):
            fetch(remote.url, target)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://x/y", "data_2k.zip"])
def test_other_addresses_are_refused(target, url):
    with pytest.raises(UserError, match="must start with http"):
        fetch(url, target)


@pytest.fixture
def archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("folder/data.json", b"[1, 2]" * 50_000)
        file.writestr("readme", b"")
    return tmp_path / "data.zip"


def test_a_member_is_unpacked_beside_the_archive(archive):
    seen = []
    path = unpack(archive, "folder/data.json", progress=lambda *state: seen.append(state))
    assert path == archive.parent / "data.json"
    assert path.read_bytes() == b"[1, 2]" * 50_000
    assert seen[-1] == (300_000, 300_000)


def test_what_is_unpacked_already_is_left(archive):
    path = unpack(archive, "folder/data.json")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    unpack(archive, "folder/data.json")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    path.write_bytes(b"[1, 3]" * 50_000)
    assert unpack(archive, "folder/data.json").read_bytes() == b"[1, 2]" * 50_000


def test_archives_that_cannot_be_unpacked(archive, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"has no file 'x\.json', but folder/data\.json, readme"):
        unpack(archive, "x.json")
    with pytest.raises(UserError, match="No such file"):
        unpack(tmp_path / "missing.zip", "x")
    content = bytearray(archive.read_bytes())
    content[60] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(UserError, match="delete the archive and fetch it again"):
        unpack(archive, "folder/data.json")
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="delete the archive and fetch it again"):
        unpack(archive, "folder/data.json")
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]


def test_a_disk_that_is_too_small_for_the_member_is_noticed_before(archive, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: namedtuple("usage", "free")(1000))
    with pytest.raises(UserError, match=r"data\.json' needs 0\.3 MB"):
        unpack(archive, "folder/data.json")


def test_what_is_published_has_an_address_a_source_and_a_licence():
    for name, published in PUBLISHED.items():
        assert published.url.startswith("https://ndownloader.figshare.com/files/")
        assert published.archive == f"{name}.zip"
        assert published.member == f"{name}.json"
        assert published.md5 is None or len(published.md5) == 32
        assert published.source
        assert published.licence == "Apache-2.0"
