"""Secrets: planted, and looked for in everything that a program, its log or its crash report could show."""

from __future__ import annotations

import pickle

import pytest
from servers.canaries import COMMON, CUSTOMER_KEY, PROXY_PASSWORD, use, walk

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.drivers.base import Encryption
from cloudbridge_store.errors import InvalidValueException
from cloudbridge_store.redaction import Secret, redact

LOCAL_SECRET = "canaryLOCALsecret0123456789"


@pytest.mark.parametrize("name", ["local", "memory"])
def test_nothing_is_shown_by_what_needs_no_network(watch, make_watched, tmp_path, name):
    watch.secrets["secret of LOCAL's URLs"] = LOCAL_SECRET
    own = {"local_root": tmp_path, "local_secret": LOCAL_SECRET} if name == "local" else {}
    provider = make_watched(name, proxies={"https": f"http://me:{PROXY_PASSWORD}@proxy:1"}, **own)
    use(provider, watch, name)
    assert "put_object" in watch.log
    assert watch.secrets.keys() > COMMON.keys()
    assert watch.found() == set()


def test_nothing_is_shown_by_the_secret_that_local_makes_for_itself(watch, make_watched, tmp_path):
    provider = make_watched("local", local_root=tmp_path)
    use(provider, watch, "local")
    watch.secrets["own secret"] = (tmp_path / ".cbs" / "secret").read_text()
    watch.secrets["own secret as bytes"] = repr(bytes.fromhex(watch.secrets["own secret"]))[2:-1]
    watch.see("local", *walk(provider))
    assert watch.found() == set()


def test_a_profile_file_without_secrets_may_be_read_by_all(monkeypatch, tmp_path):
    path = tmp_path / "profiles.toml"
    path.write_text(f'[profile.lab]\nprovider = "local"\nlocal_root = "{tmp_path}"\n')
    path.chmod(0o644)
    monkeypatch.setenv("CBS_CONFIG", str(path))
    assert CloudProviderFactory().create_provider("local", {"profile": "lab"}).storage.buckets.list() == []


@pytest.mark.parametrize("key", [CUSTOMER_KEY + b"too long", CUSTOMER_KEY.decode()])
def test_nothing_is_shown_of_a_customers_key_that_is_refused(watch, key):
    with pytest.raises(InvalidValueException) as caught:
        Encryption.customer(key)
    watch.see_error("key", caught.value)
    assert watch.found() == set()


# The tools themselves


def test_a_secret_is_still_the_text_that_it_is():
    secret = Secret("text")
    assert (secret, f"{secret}", str(secret), secret.encode(), {secret: 1}) == (
        "text",
        "text",
        "text",
        b"text",
        {"text": 1},
    )
    assert repr([secret, {"a": secret}]) == "['***', {'a': '***'}]"
    assert (pickle.loads(pickle.dumps(secret)), type(str(secret))) == ("text", str)


def test_a_provider_pickles_with_its_secrets_and_nothing_else_does(make_watched, tmp_path):
    # They are its configuration: without them the other process could not use it. The documentation says so.
    provider = make_watched("local", local_root=tmp_path, local_secret=LOCAL_SECRET, on_event=None)
    there = pickle.loads(pickle.dumps(provider))
    assert there == provider
    assert there.config["local_secret"] == LOCAL_SECRET


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (
            "{'Authorization': b'AWS4-HMAC-SHA256 Credential=AK/x, Signature=ab', 'a': 1}",
            "{'Authorization': b***, 'a': 1}",
        ),
        ("Authorization: AWS AK:c2lnbg==", "Authorization: *** ***"),
        ("x-amz-security-token:abc/+=\nx-amz-date:1", "x-amz-security-token:***\nx-amz-date:1"),
        ("Signature:\nabc", "Signature:\n***"),
        ('"GET /b/k?X-Amz-Signature=ab&X-Amz-Date=1 HTTP/1.1"', '"GET /b/k?X-Amz-Signature=***&X-Amz-Date=1 HTTP/1.1"'),
        ("<SecretAccessKey>abc</SecretAccessKey>", "<SecretAccessKey>***</SecretAccessKey>"),
        ('b\'{"SecretAccessKey":"abc","a":1}\'', 'b\'{"SecretAccessKey":***,"a":1}\''),
        ("{'X-Auth-Key': 'abc', 'X-Auth-User': 'me'}", "{'X-Auth-Key': ***, 'X-Auth-User': 'me'}"),
        ("X-Container-Meta-Temp-URL-Key-2: abc", "X-Container-Meta-Temp-URL-Key-2: ***"),
        (
            '"GET /c/o?temp_url_sig=ab&temp_url_expires=1 HTTP/1.1"',
            '"GET /c/o?temp_url_sig=***&temp_url_expires=1 HTTP/1.1"',
        ),
        ('{"RAX-KSKEY:apiKeyCredentials": {"apiKey": "abc"}}', '{"RAX-KSKEY:apiKeyCredentials": {"apiKey": ***}}'),
        ("via http://me:pass@proxy:1/x", "via http://***@proxy:1/x"),
        ("code SignatureDoesNotMatch, signature_version: s3v4", "code SignatureDoesNotMatch, signature_version: s3v4"),
        ("https://example.org/a@b?c=d@e", "https://example.org/a@b?c=d@e"),
    ],
)
def test_what_is_taken_out_of_logs(text, safe):
    assert redact(text) == safe
