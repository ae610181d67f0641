"""The mapping between keys and paths: nothing is lost, nothing collides, and the order is that of the keys."""

import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudbridge_store.drivers.local.layout import EncodedLayout, PlainLayout
from cloudbridge_store.testing.keys import WEIRD_KEYS

ENCODED, FOLDED, PLAIN = EncodedLayout(), EncodedLayout(fold=True), PlainLayout()
LAYOUTS = pytest.mark.parametrize("layout", [ENCODED, FOLDED], ids=["encoded", "folded"])

_pieces = st.sampled_from(
    [
        *"aAbz019 ./%_+-~:*?\\|<>\"'",
        "%_",
        "%+",
        "%2f",
        "con",
        "CON",
        "nul.txt",
        "com1",
        "é",
        "e\u0301",
        "ſ",
        "\u212a",
        "漢",
        "😀",
    ]
    + ["\x01", "\x7f", "ß", "x" * 179, "y" * 180, "é" * 90, "😀" * 45, "a" * 178 + "."]
)
_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
KEYS = (
    st.lists(st.one_of(_pieces, _text), min_size=1, max_size=8)
    .map("".join)
    .filter(lambda key: key and len(key.encode()) <= 1024)
)


def path_of(layout, key):
    directories, leaf = layout.place(key)
    return (*directories, leaf)


def key_of(layout, path):
    """Read a path back, piece by piece, as the walk does."""
    *directories, leaf = path
    pieces = [layout.piece(name, directory=True) for name in directories] + [layout.piece(leaf, directory=False)]
    assert None not in pieces, path
    return b"".join(pieces).decode()


@LAYOUTS
@given(key=KEYS)
@example(key="a" * 1024)
@example(key="/" * 1024)
@example(key="😀" * 256)
@example(key="y" * 180)
@example(key="y" * 179 + "/" + "y" * 180 + "/")
@example(key="ſ" * 170)
def test_a_path_reads_back_as_its_key(layout, key):
    path = path_of(layout, key)
    assert key_of(layout, path) == key
    for name in path:
        assert len(name.encode()) <= 255
        assert name not in ("", ".", "..")
        assert not re.search(r'[\x00-\x1f\x7f/\\:*?"<>|]', name)
        assert name[-1] not in ". "


@LAYOUTS
@given(keys=st.lists(KEYS, min_size=2, max_size=2, unique=True))
@example(keys=["a", "a/"])
@example(keys=["a/b", "a%2fb"])
@example(keys=["y" * 180, "y" * 180 + "/"])
@example(keys=["%_", ""])
def test_no_two_keys_meet(layout, keys):
    first, second = (path_of(layout, key) for key in keys)
    assert first != second
    # Neither is a directory on the way to the other.
    assert first != second[: len(first)]
    assert second != first[: len(second)]


@given(keys=st.lists(KEYS, min_size=2, max_size=2, unique=True))
@example(keys=["a", "A"])
@example(keys=["é", "e\u0301"])
@example(keys=["straße", "strasse"])
@example(keys=["K", "\u212a"])
def test_no_two_keys_meet_where_case_and_normal_form_do_not_count(keys):
    first, second = ([name.casefold() for name in path_of(FOLDED, key)] for key in keys)
    assert first != second
    assert all(name.isascii() for name in [*first, *second])


@LAYOUTS
@given(name=st.one_of(KEYS, st.from_regex(r"[a%_+0-9A-F.]{1,6}", fullmatch=True)), directory=st.booleans())
@example(name="%2F", directory=False)
@example(name="%61", directory=False)
@example(name="a%2fb", directory=False)
@example(name="a%", directory=False)
@example(name="a", directory=True)
@example(name="y" * 181 + "%+", directory=True)
@example(name="y" * 180 + "%", directory=True)
@example(name="y" * 180, directory=False)
@example(name="a%ff", directory=False)
@example(name="\udcff", directory=False)
def test_a_name_is_read_only_if_it_is_the_one_that_would_be_written(layout, name, directory):
    piece = layout.piece(name, directory=directory)
    if piece is not None:
        assert layout.entry(piece) == (name, directory)


@pytest.mark.parametrize(
    ("name", "directory"),
    [("%2F", False), ("%61", False), ("a%2fb", False), ("a%", False), ("a", True), ("y" * 180, False), ("a%ff", False)]
    + [
        ("y" * 180 + "%", True),
        ("y" * 181 + "%+", True),
        ("y%+", True),
        ("\udcff", False),
        ("con", False),
        ("a.", False),
    ],
)
def test_litter_is_not_read(name, directory):
    assert ENCODED.piece(name, directory=directory) is None


@pytest.mark.parametrize("layout", [ENCODED, FOLDED, PLAIN], ids=["encoded", "folded", "plain"])
@given(keys=st.lists(KEYS, max_size=12, unique=True))
def test_pieces_sort_like_keys(layout, keys):
    """Walked in the order of their pieces, depth first, paths come in the order of their keys."""
    pieces = {}
    for key in keys:
        if layout.refuse(key) is None:
            *directories, leaf = path_of(layout, key)
            walked = [layout.piece(name, directory=True) for name in directories]
            pieces[key] = [*walked, layout.piece(leaf, directory=False)]
    assert sorted(pieces, key=pieces.__getitem__) == sorted(pieces, key=str.encode)


@pytest.mark.parametrize("key", WEIRD_KEYS.values(), ids=WEIRD_KEYS)
@LAYOUTS
def test_keys_that_have_broken_others(layout, key, tmp_path):
    path = path_of(layout, key)
    assert key_of(layout, path) == key
    # ext4 and its kind take the longest name, and give it back unchanged.
    if all(len(name.encode()) <= 255 for name in path):
        (tmp_path / path[0]).touch()
        assert os.listdir(tmp_path) == [path[0]]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/b.txt", ["a%", "b.txt"]),
        ("A B", ["A B"]),
        ("a/", ["a%", "%_"]),
        ("/a", ["%_%", "a"]),
        ("100%", ["100%25"]),
        ("con.txt", ["%63on.txt"]),
        ("COM1/x", ["%43OM1%", "x"]),
        ("...", ["..%2e"]),
        ("a ", ["a%20"]),
        ("é", ["é"]),
        ("y" * 180, ["y" * 180 + "%+", "%_"]),
        ("y" * 179, ["y" * 179]),
        (":" * 61, ["%3a" * 60 + "%+", "%3a"]),
    ],
)
def test_paths_stay_what_they_are(key, path):
    # Stores on disk depend on them: a change here is a new version of the layout.
    assert list(path_of(ENCODED, key)) == path


def test_folded_paths_stay_what_they_are():
    assert path_of(FOLDED, "aB/é_1.txt") == ("a%42%", "%c3%a9_1.txt")


@pytest.mark.parametrize("key", ["/a", "a/", "a//b", "./a", "a/..", "x" * 256, "é" * 128])
def test_plain_says_why_it_cannot_hold_a_key(key):
    assert "plain layout" in PLAIN.refuse(key)


@pytest.mark.parametrize("key", [".hidden", "a/.b/c", "x" * 255, "a\\b", "con", "a."])
def test_plain_holds_what_the_file_system_does(key):
    assert PLAIN.refuse(key) is None
