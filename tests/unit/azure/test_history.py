"""Versions of objects, over several pages of the service."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from cloudbridge_store import errors

TIME = "Sat, 21 Nov 2026 10:00:00 GMT"
# As the service has them: the oldest version of a key first, and a page ends anywhere.
PAGES = {
    "": ([("a", "1", ""), ("a", "2", ""), ("a", "3", "true"), ("b", "1", "")], "second"),
    "second": ([("b", "2", ""), ("b", "3", "")], "third"),
    "third": ([], "fourth"),
    "fourth": ([("b", "4", "true"), ("c", "1", ""), ("\U0001f5c3", "1", "true"), ("\uffee", "1", "true")], ""),
}
NEWEST_FIRST = ["a3", "a2", "a1", "b4", "b3", "b2", "b1", "c1", "\U0001f5c31", "\uffee1"]


def entry(name, version, current):
    latest = f"<IsCurrentVersion>{current}</IsCurrentVersion>" if current else ""
    told = f"<Last-Modified>{TIME}</Last-Modified><Etag>0x1</Etag><Content-Length>5</Content-Length>"
    return f"<Blob><Name>{name}</Name><VersionId>{version}</VersionId>{latest}<Properties>{told}</Properties></Blob>"


def answer(asked):
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}
    assert set(query["include"].split(",")) == {"snapshots", "versions"}
    entries, following = PAGES[query.get("marker", "")]
    blobs = "".join(entry(*each) for each in entries)
    document = f"<Blobs>{blobs}</Blobs><NextMarker>{following}</NextMarker>"
    return 200, {"x-ms-request-id": "R1"}, f"<EnumerationResults>{document}</EnumerationResults>".encode()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
def test_the_newest_version_of_each_key_comes_first(play, limit):
    driver, _ = play(answer)
    seen, token = [], None
    while True:
        page = driver.list_versions("a-bucket", limit=limit, token=token)
        assert len(page.items) <= limit
        seen += page.items
        token = page.token
        if token is None:
            break
    assert [each.info.key + each.info.version for each in seen] == NEWEST_FIRST
    latest = [each.info.key for each in seen if each.latest]
    # Of c there are versions, and no object any more.
    assert latest == ["a", "b", "\U0001f5c3", "\uffee"]


def test_a_token_of_something_else_is_refused(play):
    driver, _ = play(answer)
    for token in ("x", "[]", '["a"]', "{}"):
        with pytest.raises(errors.InvalidRequestError):
            driver.list_versions("a-bucket", token=token)


def test_a_key_that_is_gone_is_not_waited_for(play):
    driver, _ = play(answer)
    page = driver.list_versions("a-bucket", limit=4)
    assert [each.info.key for each in page.items] == ["a", "a", "a", "b"]
    token = page.token.replace('"b"', '"aa"')
    rest = driver.list_versions("a-bucket", token=token)
    assert [each.info.key for each in rest.items] == ["b", "b", "b", "b", "c", "\U0001f5c3", "\uffee"]
