"""The scanner of huge JSON objects: any content in any pieces, and every way in which a file can be damaged."""

import hashlib
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench.errors import UserError
from lcbench.formats.json_stream import ObjectStream, opened_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(), st.dictionaries(st.text(), VALUES, max_size=4), max_size=4)
CHUNKS = st.integers(1, 50)


@st.composite
def files(draw):
    """What is in a file, and its bytes: blanks or none, escapes or UTF-8."""
    content = draw(OBJECTS)
    options = {"ensure_ascii": draw(st.booleans()), "indent": draw(st.sampled_from([None, 0, 3]))}
    return content, json.dumps(content, **options).encode()


def _stream(data, chunk=10):
    return ObjectStream(io.BytesIO(data), "FILE", chunk=chunk)


def _content(stream):
    return {outer: dict(members) for outer, members in stream.members()}


def _text(content):
    """As text, because NaN is not equal to itself."""
    return json.dumps(content)


@given(files(), CHUNKS)
def test_any_content_in_any_pieces(file, chunk):
    content, data = file
    stream = _stream(data, chunk)
    assert _text(_content(stream)) == _text(content)
    assert stream.offset == len(data)
    assert stream.sha256 == hashlib.sha256(data).hexdigest()


@given(files(), CHUNKS)
def test_it_goes_on_after_any_inner_object(file, chunk):
    content, data = file
    stream, ends = _stream(data, chunk), []
    for _, members in stream.members():
        list(members)
        ends.append((stream.offset, stream.sha256))
    for i, (offset, digest) in enumerate(ends, start=1):
        assert digest == hashlib.sha256(data[:offset]).hexdigest()
        rest = _stream(data, chunk)
        rest.skip(offset)
        assert _text(_content(rest)) == _text(dict(list(content.items())[i:]))
        assert rest.sha256 == hashlib.sha256(data).hexdigest()


@given(files(), CHUNKS, st.data())
def test_a_file_that_is_cut_short_says_where(file, chunk, choose):
    _, data = file
    n = choose.draw(st.integers(0, len(data) - 1))
    with pytest.raises(UserError, match=rf"FILE is cut short or damaged: it ends at byte {n}\b"):
        _content(_stream(data[:n], chunk))


def test_what_was_not_taken_is_passed_over():
    stream = _stream(b'{"a": {"x": 1, "y": 2}, "b": {"z": 3}}')
    assert [outer for outer, _ in stream.members()] == ["a", "b"]


def test_numbers_that_json_lacks_are_numbers():
    content = _content(_stream(b'{"a": {"x": [NaN, Infinity, -Infinity, 1e400, 0]}}', chunk=1))
    assert _text(content) == '{"a": {"x": [NaN, Infinity, -Infinity, Infinity, 0]}}'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[1, 2]", r"\{ is wanted, but there is \[, at byte 0"),
        (b'{"a": [1]}', r"\{ is wanted, but there is \[, at byte 6, in 'a'"),
        (b'{"a": {"x": 1 "y": 2}}', r', or \} is wanted, but there is ", at byte 14, in \'a\''),
        (b'{"a": {"x": 1},}', r'" is wanted, but there is \}, at byte 15'),
        (b'{"a": {"x": 1}} {}', "something follows after its end, at byte 16"),
        (b'{"a": {"x": tru, "y": "a long text that follows"}}', "Expecting value, at byte 12, in 'a' / 'x'"),
        (b'{"a": {"x": {"k": 1, "k": 2}}}', "an object has the key 'k' twice, at byte 12, in 'a' / 'x'"),
        (b'{"a": {"x": "\xff"}}', "it is not UTF-8"),
        (b'{"a": {"x": ' + b"[" * 100_000 + b"}", "it is nested too deeply, at byte 12"),
    ],
)
def test_a_damaged_file_says_what_and_where(data, words):
    with pytest.raises(UserError, match=words):
        _content(_stream(data))


def test_a_value_without_an_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("lcbench.formats.json_stream.LONGEST", 1000)
    with pytest.raises(UserError, match="a value has more than 1000 characters"):
        _content(_stream(b'{"a": {"x": "' + b"." * 5000 + b'"}}'))


def test_an_error_in_the_middle_does_not_read_the_rest():
    file = io.BytesIO(b'{"a": {"x": [1, oops, 2], "y": "' + b"." * 100_000 + b'"}}')
    with pytest.raises(UserError, match="byte 16"):
        _content(ObjectStream(file, "FILE", chunk=100))
    assert file.tell() < 1000


def test_a_zip_archive_is_opened(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._data.json", "")
        archive.writestr("data.json", '{"a": {"x": 1}}')
    with opened_json(tmp_path / "data.zip") as (file, size):
        assert _content(ObjectStream(file, "FILE")) == {"a": {"x": 1}}
    assert size == 15


def test_an_archive_that_is_cut_short_says_so(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.json", "{}" * 1000)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(UserError, match=r"data\.zip is a zip archive that is cut short"), opened_json(path):
        pass
    path.write_bytes(whole[:45] + bytes([whole[45] ^ 255]) + whole[46:])
    with pytest.raises(UserError, match="FILE is a zip archive that is cut short or damaged"), opened_json(path) as (file, _):
        _content(ObjectStream(file, "FILE"))


def test_an_archive_must_hold_one_json(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("a.json", "{}")
        archive.writestr("b.json", "{}")
    with (
        pytest.raises(UserError, match=r"is an archive of a\.json, b\.json, but must hold exactly one \.json"),
        opened_json(tmp_path / "data.zip"),
    ):
        pass


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UserError, match="there is no file"), opened_json(tmp_path / "none.json"):
        pass
