"""What is on the wire: exactly the names, no redirects, no repetitions, bytes as they are stored."""

import base64
import gzip
import hashlib
import io
import socket
import ssl
import threading

import pytest

pytest.importorskip("keystoneauth1")

from cloudbridge_store import RetryConfig, errors
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import READ_ALL, Body, PutOptions, ReadOptions
from cloudbridge_store.drivers.openstack import transport

NAMES = ["a?b", "a#b", "a%2Fb", "//", "/lead", "trail/", "a//b", "ü/日本", "a b+c", "a;b=c&d", "%", "a\\b", "~", "[x]"]
MODIFIED = "Tue, 02 Jan 2024 03:04:05 GMT"
PLAIN = {"ETag": "5d41402abc4b2a76b9719d911017c592", "Last-Modified": MODIFIED}


def unquoted(path):
    """Undo percent signs by hand, as urllib would keep some."""
    from urllib.parse import unquote

    assert path.isascii()
    assert "?" not in path
    return unquote(path)


@pytest.mark.parametrize("name", NAMES)
def test_names_arrive_as_they_are(make, swift, name):
    def answer(asked):
        return (201 if asked.method == "PUT" else 200), {**PLAIN, "ETag": hashlib.md5(asked.body).hexdigest()}, b""

    service = swift(answer)
    driver = make(**service.config).session.driver
    driver.put_object("abc", name, BytesBody(b"x"), PutOptions(if_none_match="*"))
    driver.head_object("abc", name)
    driver.get_object("abc", name, READ_ALL).stream.close()
    driver.delete_object("abc", name)
    paths = [each.path for each in service.asked if not each.path.endswith("_segments")]
    assert {unquoted(each) for each in paths} == {f"/v1/AUTH_a/abc/{name}"}


@pytest.mark.parametrize("bucket", ["", ".", "..", "a/b", "a\0", "x" * 257])
def test_no_name_leads_to_another_place(make, swift, bucket):
    service = swift(lambda asked: (204, {}, b""))
    driver = make(**service.config).session.driver
    with pytest.raises(errors.BucketNotFoundError):
        driver.delete_bucket(bucket)
    with pytest.raises(errors.NotFoundError):
        driver.delete_object("abc", "")
    assert not [each for each in service.asked if each.method == "DELETE"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(make, swift, serve, status):
    elsewhere = serve(lambda asked: (200, PLAIN, b""))
    service = swift(lambda asked: (status, {"Location": f"{elsewhere.url}/v1/AUTH_a/abc/a"}, b""))
    driver = make(**service.config).session.driver
    for call in (lambda: driver.head_object("abc", "a"), lambda: driver.get_object("abc", "a", READ_ALL)):
        with pytest.raises(Exception) as caught:
            call()
        assert driver.classify(caught.value).error is errors.ForeignAnswerError
    assert elsewhere.asked == []


def test_content_is_not_decompressed(make, swift):
    packed = gzip.compress(b"hello" * 100)
    headers = {**PLAIN, "Content-Encoding": "gzip"}
    service = swift(lambda asked: (200, headers, packed))
    download = make(**service.config).session.driver.get_object("abc", "a", READ_ALL)
    assert download.stream.read(10_000) == packed
    assert download.info.headers == {"content_encoding": "gzip"}
    assert service.asked[-1].headers["accept-encoding"] == "identity"


def test_an_answer_that_is_cut_is_told(make, swift):
    service = swift(lambda asked: (200, {**PLAIN, "Content-Length": "100", "Connection": "close"}, b"short"))
    driver = make(**service.config).session.driver
    download = driver.get_object("abc", "a", READ_ALL)
    with pytest.raises(Exception) as caught:
        while download.stream.read(1000):
            pass
    download.stream.close()
    failure = driver.classify(caught.value)
    assert failure.error is errors.ConnectionFailedError


@pytest.mark.parametrize("said", ["bytes 5-9/10", "bytes 0-9/10", "items 0-4/10", ""])
def test_a_range_that_is_another_is_told(make, swift, said):
    service = swift(lambda asked: (206, {**PLAIN, "Content-Range": said}, b"01234567"))
    driver = make(**service.config).session.driver
    with pytest.raises(errors.StoreError):
        driver.get_object("abc", "a", ReadOptions(0, 5))


def test_another_md5_than_was_sent_is_told(make, swift):
    service = swift(lambda asked: (201, {"ETag": "0" * 32}, b""))
    with pytest.raises(errors.IntegrityError):
        make(**service.config).session.driver.put_object("abc", "a", BytesBody(b"x"), PutOptions())


class Early:
    """A server that refuses a body before it was sent, and says how much of it came all the same."""

    def __init__(self, status):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._status = status
        self.bodies = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as file:
                head = [line for line in iter(file.readline, b"\r\n") if line]
                if not head or head[0].startswith(b"QUIT"):
                    return
                connection.sendall(
                    f"HTTP/1.1 {self._status} No\r\nX-Trans-Id: tx1\r\nContent-Length: 2\r\n\r\nno".encode()
                )
                connection.shutdown(socket.SHUT_WR)
                self.bodies.append(len(file.read()) if head[0].startswith(b"PUT") else 0)

    def close(self):
        with socket.create_connection(self._listener.getsockname()) as connection:
            connection.sendall(b"QUIT\r\n\r\n")
        self._thread.join()
        self._listener.close()


@pytest.mark.parametrize(("status", "kind"), [(403, errors.PermissionDeniedError), (413, errors.QuotaExceededError)])
def test_a_large_body_waits_until_it_is_wanted(make, status, kind, monkeypatch):
    # A second is not long where the server has to wait for a processor.
    monkeypatch.setattr(transport, "_PATIENCE", 20.0)
    server = Early(status)
    try:
        provider = make(os_storage_url=f"{server.url}/v1/AUTH_a", os_auth_token="t")
        driver = provider.session.driver
        with pytest.raises(Exception) as caught:
            driver.put_object("abc", "a", BytesBody(bytes(4_000_000)), PutOptions(if_none_match="*"))
        assert driver.classify(caught.value).error is kind
    finally:
        server.close()
    assert server.bodies == [0]


class Silent:
    """A server that reads what comes, whether it was expected or not, and answers at the end only."""

    def __init__(self, context):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _ = self._listener.accept()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as file:
            head = dict(line.lower().split(b": ") for line in list(iter(file.readline, b"\r\n"))[1:])
            digest = hashlib.md5(file.read(int(head[b"content-length"]))).hexdigest()
            lines = ("HTTP/1.1 201 Created", f"ETag: {digest}", "X-Trans-Id: tx1", "Content-Length: 0")
            connection.sendall("\r\n".join((*lines, "", "")).encode())

    def close(self):
        self._thread.join()
        self._listener.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_body_that_nobody_asks_for_is_sent_after_a_while(make, secure, tmp_path):
    """Behind a TLS handshake tickets arrive, which are no answer."""
    context, more = None, {}
    if secure:
        trustme = pytest.importorskip("trustme")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        more = {"ca_bundle": str(tmp_path / "ca.pem")}
    server = Silent(context)
    try:
        url = f"http{'s' if secure else ''}://{server.address}/v1/AUTH_a"
        driver = make(os_storage_url=url, os_auth_token="t", **more).session.driver
        body = bytes(4_000_000)
        stored = driver.put_object("abc", "a", BytesBody(body), PutOptions(if_none_match="*"))
        assert stored.etag == hashlib.md5(body).hexdigest()
    finally:
        server.close()


def test_what_the_source_raises_is_not_the_connections_fault(make, swift):
    class Shrunk(Body):
        size = 3_000_000

        def open(self):
            return io.BytesIO(b"short")

    service = swift(lambda asked: (201, {"ETag": "0" * 32}, b""))
    driver = make(**service.config).session.driver
    with pytest.raises(errors.SourceChangedError):
        driver.put_object("abc", "a", Shrunk(), PutOptions(if_none_match="*"))


def test_a_login_that_fails_takes_no_connection_along(make, swift):
    service = swift(lambda asked: (204, {}, b""))
    driver = make(**service.config).session.driver
    driver.head_bucket("abc")
    service.good = "another token"
    service.login_status = 503
    kept = []
    for _ in range(3):
        with pytest.raises(Exception) as caught:
            driver.head_bucket("abc")
        kept.append(caught.value)
    [route] = driver._service._transport._routes.values()
    assert route.pool.num_connections == 1


def test_what_goes_by_a_proxy(make, serve):
    """A proxy is told the whole address; by a name of which nobody knows where it is."""

    def answer(asked):
        headers = {"X-Trans-Id": "tx1", "X-Auth-Token": "t", "X-Storage-Url": "http://swift.example.org/v1/AUTH_a"}
        return 204, headers, b""

    proxy = serve(answer)
    url = proxy.url.replace("http://", "http://me:p%20w@")
    config = {"os_auth_url": "http://swift.example.org/auth/v1.0", "os_username": "me", "os_password": "geheim"}
    provider = make(**config, allow_http=True, proxies={"http": url})
    assert provider.storage.buckets.get("abc") is not None
    provider.session.driver.delete_object("abc", "a?b/ü//")
    assert {each.path for each in proxy.asked} == {
        "http://swift.example.org/auth/v1.0",
        "http://swift.example.org/v1/AUTH_a/abc",
        "http://swift.example.org/v1/AUTH_a/abc_segments",
        "http://swift.example.org/v1/AUTH_a/abc/a%3Fb/%C3%BC//",
    }
    basic = base64.b64encode(b"me:p w").decode()
    assert {each.headers["proxy-authorization"] for each in proxy.asked} == {f"Basic {basic}"}


def test_a_stranger_is_not_believed_that_something_is_missing(make, swift):
    service = swift(lambda asked: (404, {"X-Trans-Id": None}, b"<html>Not here</html>"))
    provider = make(**service.config)
    with pytest.raises(errors.ForeignAnswerError):
        provider.storage.buckets.get("abc")
    with pytest.raises(errors.ForeignAnswerError):
        provider.storage.buckets.create("abc")
    driver = provider.session.driver
    for call in (lambda: driver.delete_object("abc", "a"), lambda: driver.abort_upload("abc", "a", "0" * 32)):
        with pytest.raises(Exception) as caught:
            call()
        assert driver.classify(caught.value).error is errors.ForeignAnswerError


OBJECT = {"ETag": "d3b07384d113edec49eaa6238ad5ff00", "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT"}


@pytest.fixture
def environment(monkeypatch):
    """Name proxies for what is asked here, which are usually not."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def ask_given(make, url, **config):
    provider = make(os_storage_url=f"{url}/v1/AUTH_a", os_auth_token="t", retry=RetryConfig(attempts=1), **config)
    return provider.session.call(provider.session.driver.head_object, "box", "a")


def test_a_proxy_without_a_scheme(make, swift):
    service = swift(lambda asked: (200, OBJECT, b""))
    service.good = "t"
    proxies = {"http": service.script.url.removeprefix("http://")}
    ask_given(make, "HTTP://127.0.0.2:1", proxies=proxies)
    assert [asked.path for asked in service.asked] == ["http://127.0.0.2:1/v1/AUTH_a/box/a"]


def test_no_proxy_may_name_a_port(make, swift, environment):
    service = swift(lambda asked: (200, OBJECT, b""))
    service.good = "t"
    environment.setenv("http_proxy", "http://127.0.0.2:1")
    with pytest.raises(errors.ConnectionFailedError):
        ask_given(make, service.script.url)
    environment.setenv("no_proxy", service.script.url.removeprefix("http://"))
    ask_given(make, service.script.url)
    assert len(service.asked) == 1
