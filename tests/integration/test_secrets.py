"""Secrets: planted, and looked for in everything that a program, its log or its crash report could show."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import logging
import os
import pickle
import re
import traceback
import warnings
from pathlib import Path
from types import FunctionType, MethodType
from urllib.parse import parse_qs, quote, urlsplit

import pytest

pytest.importorskip("boto3")

from servers.openstack_harnesses import KeystoneHarness, RackspaceHarness
from servers.scripted import failure

import cloudbridge_store
from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.core.operations import OPERATIONS
from cloudbridge_store.core.source import BytesBody
from cloudbridge_store.drivers.base import (
    READ_ALL,
    Encryption,
    FormOptions,
    Part,
    PutOptions,
    ReadOptions,
    SignedForm,
    SignedRequest,
    SignOptions,
)
from cloudbridge_store.errors import CloudBridgeBaseException, InvalidConfigurationException, InvalidValueException
from cloudbridge_store.redaction import Secret, redact

PACKAGE = str(Path(cloudbridge_store.__file__).parent)
CUSTOMER_KEY = b"canaryCUSTOMERKEY0123456789abcde"
PROXY_PASSWORD, ADDRESS_PASSWORD = "canaryPROXYpassword", "canaryADDRESSpassword"
CANARIES = {
    "access key": "AKIACANARYACCESSKEY0",
    "secret key": "canary/SECRET+key/0123456789abcdef",
    "session token": "canarySESSIONtoken//0123456789==",
    "customer's key": CUSTOMER_KEY.decode(),
    "customer's key on the wire": base64.b64encode(CUSTOMER_KEY).decode(),
    "digest of the customer's key": base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode(),
    "proxy's password": PROXY_PASSWORD,
    "address's password": ADDRESS_PASSWORD,
    "secret of LOCAL's URLs": "canaryLOCALsecret0123456789",
    "secret key of the environment": "canaryENVIRONMENTkey0123456789",
    "secret key of the SDK's environment": "canarySDKenvironmentKEY0123456789",
    "secret key of a profile": "canaryPROFILEkey0123456789",
    "secret key of the SDK's file": "canarySDKfileKEY0123456789",
}
KEYS = {
    "aws_access_key": CANARIES["access key"],
    "aws_secret_key": CANARIES["secret key"],
    "aws_session_token": CANARIES["session token"],
}
ENCRYPTED = PutOptions("text/plain", encryption=Encryption.customer(CUSTOMER_KEY))
LOCKED = ReadOptions(customer_key=CUSTOMER_KEY)


class Watch:
    """Collects everything that is shown, and finds the secrets in it."""

    def __init__(self):
        self.secrets = dict(CANARIES)
        self.shown = []
        self._log = io.StringIO()
        self._handler = logging.StreamHandler(self._log)
        self._handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self._handler.setLevel(logging.DEBUG)

    def __enter__(self):
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self._handler)
        self._warnings = warnings.catch_warnings(record=True)
        self._warned = self._warnings.__enter__()
        warnings.simplefilter("always")
        return self

    def __exit__(self, *_):
        self._warnings.__exit__(None, None, None)
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger().setLevel(self._level)

    @property
    def log(self):
        return self._log.getvalue()

    def see(self, where, *texts):
        self.shown += [(where, text) for text in texts]

    def see_object(self, where, thing):
        self.see(where, *walk(thing))
        try:
            self.see(f"{where}, pickled", pickle.dumps(thing).decode("latin-1"))
        except (TypeError, AttributeError, pickle.PicklingError):
            pass

    def see_error(self, where, error):
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        for link in chain(error):
            self.see(where, str(link), repr(link))
        for link in chain(trace):
            for frame in link.stack:
                if frame.filename.startswith(PACKAGE):
                    place = f"{where}, locals of {Path(frame.filename).name}:{frame.lineno}"
                    self.see(place, *(f"{name} = {value}" for name, value in (frame.locals or {}).items()))
        self.see_object(where, error)

    def attempt(self, where, call):
        """Carry something out; look at its result or at its failure. Return what was asked for."""
        try:
            result = call()
        except CloudBridgeBaseException as error:
            self.see_error(where, error)
            return None
        if isinstance(result, SignedRequest):
            # It is the secret that was asked for: from here on nothing else may show it.
            query = parse_qs(urlsplit(result.url).query)
            names = ("X-Amz-Signature", "cbs-signature", "temp_url_sig")
            [self.secrets[f"signature of {where}"]] = next(query[name] for name in names if name in query)
            self.see(where, repr(result), str(result))
        elif isinstance(result, SignedForm):
            self.secrets[f"signature of {where}"] = result.fields["x-amz-signature"]
            self.see(where, repr(result), str(result))
        else:
            self.see_object(where, result)
        return result

    def found(self):
        """Return where secrets are shown."""
        everything = [*self.shown, *(("log", line) for line in self.log.splitlines())]
        everything += [("warning", str(each.message)) for each in self._warned]
        spellings = {
            name: {secret, quote(secret, safe=""), repr(secret)[1:-1]} for name, secret in self.secrets.items()
        }
        return {
            (name, where, text if where == "log" else "")
            for where, text in everything
            for name, secrets in spellings.items()
            if any(secret in text for secret in secrets)
        }


def chain(link):
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def walk(thing, seen=None):
    """Yield the ``repr`` and ``str`` of everything of ours that can be reached from an object."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    yield repr(thing)
    if not isinstance(thing, str):
        yield f"{thing}"
    for inner in inside(thing):
        yield from walk(inner, seen)


def inside(thing):
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, (list, tuple, set, frozenset)):
        return list(thing)
    if isinstance(thing, FunctionType):
        return [cell.cell_contents for cell in thing.__closure__ or ()]
    if isinstance(thing, MethodType):
        return [thing.__self__]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if not type(thing).__module__.startswith("cloudbridge_store") or isinstance(thing, type):
        return []
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name) for name in slots if hasattr(thing, name))]


def calls(driver, bucket, key, upload="no-such-upload", parts=()):
    """Return one call of every method of the contract, by name."""
    body = BytesBody(b"content")
    metadata = {"note": "no secret"}
    encrypted = PutOptions(metadata=metadata, encryption=Encryption.customer(CUSTOMER_KEY))
    put = encrypted if "customer" in driver.capabilities.encryption else PutOptions(metadata=metadata)
    read = LOCKED if put is encrypted else READ_ALL
    arguments = {
        "create_bucket": (bucket,),
        "head_bucket": (bucket,),
        "list_buckets": ({"limit": 10},),
        "regions": (),
        "put_object": (bucket, key, body, put),
        "head_object": (bucket, key, read),
        "get_object": (bucket, key, read),
        "copy_object": (bucket, key, bucket, f"{key}-copy", None, {"source": read}),
        "list_objects": (bucket,),
        "list_versions": (bucket,),
        "get_usage": (bucket,),
        "set_bucket_metadata": (bucket, {}),
        "get_versioning": (bucket,),
        "set_versioning": (bucket, {"enabled": True}),
        "get_tags": (bucket, key),
        "set_tags": (bucket, key, {}),
        "sign_url": (bucket, key, "GET", 60, SignOptions()),
        "sign_form": (bucket, key, 60, FormOptions()),
        "set_temp_url_key": ("no-such-key-as-this", bucket),
        "public_url": (bucket, key),
        "set_public": (bucket, {"public": True}),
        "set_website": (bucket, "index.html", None),
        "set_cdn": (bucket, {"enabled": True, "ttl": 60}),
        "get_cdn": (bucket,),
        "purge_cdn": (bucket, key),
        "get_rules": (bucket, "cors"),
        "set_rules": (bucket, "cors", []),
        "start_upload": (bucket, key, put),
        "list_uploads": (bucket,),
        "upload_part": (bucket, key, upload, 1, body, put),
        "list_parts": (bucket, key, upload),
        "finish_upload": (bucket, key, upload, parts or (Part(1, "0" * 32, 7),), put),
        "abort_upload": (bucket, key, upload),
        "delete_objects": (bucket, [key]),
        "delete_object": (bucket, key),
        "delete_bucket": (bucket,),
    }
    assert arguments.keys() == OPERATIONS.keys()
    return arguments


def carry_out(provider, watch, where, bucket, key="dir/key"):
    """Call every method of the contract once."""
    session = provider.session
    upload = "no-such-upload"
    for name, arguments in calls(session.driver, bucket, key).items():
        given = [upload if each == "no-such-upload" else each for each in arguments]
        positional = name in ("set_tags", "set_bucket_metadata")
        keywords = given.pop() if given and isinstance(given[-1], dict) and not positional else {}
        method = getattr(session.driver, name)
        result = watch.attempt(f"{where} {name}", functools.partial(session.call, method, *given, **keywords))
        if name == "start_upload" and result is not None:
            upload = result
        if name == "get_object" and result is not None:
            result.stream.close()


@pytest.fixture
def watch():
    with Watch() as watch:
        yield watch


@pytest.fixture
def make(watch):
    """Make providers whose events, and which themselves, are looked at."""
    made = []

    def start(name, **given):
        def see(event):
            watch.see_object("event", event)

        provider = CloudProviderFactory().create_provider(name, {"on_event": see, "retry_attempts": 1, **given})
        made.append(provider)
        return provider

    yield start
    for provider in made:
        watch.see(f"{provider.name} in the end", *walk(provider))
        provider.close()


def use(provider, watch, where):
    """Every operation twice: where things are, and where nothing is."""
    carry_out(provider, watch, where, "canary-bucket")
    carry_out(provider, watch, f"{where}, failing", "no-such-bucket")
    watch.see(f"{where} provider", *walk(provider))
    for each in (provider.storage.buckets, provider.clone()):
        watch.see(f"{where} {each}", *walk(each))


@pytest.mark.parametrize("name", ["local", "memory"])
def test_nothing_is_shown_by_what_needs_no_network(watch, make, tmp_path, name):
    own = {"local_root": tmp_path, "local_secret": CANARIES["secret of LOCAL's URLs"]} if name == "local" else {}
    provider = make(name, proxies={"https": f"http://me:{PROXY_PASSWORD}@proxy:1"}, **own)
    use(provider, watch, name)
    assert "put_object" in watch.log
    assert watch.secrets.keys() > CANARIES.keys()
    assert watch.found() == set()


def test_nothing_is_shown_by_the_secret_that_local_makes_for_itself(watch, make, tmp_path):
    provider = make("local", local_root=tmp_path)
    use(provider, watch, "local")
    watch.secrets["own secret"] = (tmp_path / ".cbs" / "secret").read_text()
    watch.secrets["own secret as bytes"] = repr(bytes.fromhex(watch.secrets["own secret"]))[2:-1]
    watch.see("local", *walk(provider))
    assert watch.found() == set()


def test_nothing_is_shown_by_aws(watch, make, server):
    there = {"s3_endpoint_url": server("moto").url, "s3_preset": "aws", "s3_addressing_style": "path"}
    provider = make("aws", **KEYS, **there)
    use(provider, watch, "aws")
    assert "CanonicalRequest" in watch.log
    assert "urllib3.connectionpool" in watch.log
    assert len(watch.secrets) >= len(CANARIES) + 2
    assert watch.found() == set()


@pytest.mark.parametrize("harness_kind", [KeystoneHarness, RackspaceHarness], ids=lambda kind: kind.__name__)
def test_nothing_is_shown_by_openstack(watch, make, server, harness_kind):
    harness = harness_kind(server(harness_kind.kind))
    config = harness.credentials()
    watch.secrets["password"] = config.get("os_password") or config["os_api_key"]
    watch.secrets["key to sign with"] = "canary-key-to-sign-with"
    provider = make(harness.provider, os_auth_url=harness.server.auth_url, **config)
    bucket = provider.storage.buckets.create("canary-key-bucket")
    provider.storage.set_temp_url_key(watch.secrets["key to sign with"], bucket.name)
    url = bucket.objects.create("a").generate_url()
    watch.secrets["signature"] = parse_qs(urlsplit(url).query)["temp_url_sig"][0]
    assert harness.get_url(url).status == 404
    bucket.delete(delete_contents=True)
    use(provider, watch, harness.kind)
    watch.secrets["token"] = str(provider.session.driver._service.login.ticket().token)
    assert "urllib3.connectionpool" in watch.log
    assert watch.found() == set()


def echo(asked):
    """What AWS says of a wrong signature: everything that was signed."""
    said = "".join(f"{name}:{value}\n" for name, value in asked.headers.items())
    body = (
        "<Error><Code>SignatureDoesNotMatch</Code><Message>does not match</Message>"
        f"<AWSAccessKeyId>{CANARIES['access key']}</AWSAccessKeyId><CanonicalRequest>{said}</CanonicalRequest></Error>"
    )
    return 403, {"Content-Type": "application/xml"}, body.encode()


FAILURES = {
    "denied": lambda _: failure(403, "AccessDenied"),
    "echoed": echo,
    "expired": lambda _: failure(400, "ExpiredToken"),
    "refused": lambda _: failure(400, "InvalidArgument"),
    "missing": lambda _: failure(404, "NoSuchKey"),
    "conflict": lambda _: failure(409, "OperationAborted"),
    "condition": lambda _: failure(412, "PreconditionFailed"),
    "broken": lambda _: failure(500, "InternalError"),
    "throttled": lambda _: failure(503, "SlowDown"),
    "moved": lambda _: failure(301, "PermanentRedirect", **{"x-amz-bucket-region": "eu-west-3"}),
    "foreign": lambda _: (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "hung up": lambda _: None,
}


@pytest.mark.parametrize("kind", FAILURES)
def test_nothing_is_shown_where_aws_fails(watch, make, serve, kind):
    script = serve(FAILURES[kind])
    provider = make("aws", **KEYS, s3_endpoint_url=script.url, s3_preset="aws")
    carry_out(provider, watch, kind, "canary-bucket")
    assert len(script.asked) > 20
    assert any(CANARIES["session token"] in asked.headers.get("x-amz-security-token", "") for asked in script.asked)
    assert watch.found() == set()


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_nothing_is_shown_by_any_kind_of_signature(watch, make, serve, signature):
    script = serve(lambda _: failure(403, "AccessDenied"))
    there = {"s3_endpoint_url": script.url, "s3_preset": "other", "s3_signature_version": signature}
    provider = make("aws", **KEYS, **there)
    session = provider.session
    for name, arguments in (
        ("put_object", ("canary-bucket", "key", BytesBody(b"x"), PutOptions())),
        ("get_object", ("canary-bucket", "key", READ_ALL)),
    ):
        watch.attempt(name, functools.partial(session.call, getattr(session.driver, name), *arguments))
    sent = [asked.headers["authorization"] for asked in script.asked]
    watch.secrets["authorization"] = re.search(r"(?:Signature=|:)([^:=]+=*)$", sent[0])[1]
    assert len(sent) == 2
    assert watch.found() == set()


@pytest.mark.parametrize("listening", [True, False])
def test_nothing_is_shown_by_a_proxy(watch, make, serve, unused_port, listening):
    script = serve(lambda _: failure(403, "AccessDenied"))
    port = script.server.server_port if listening else unused_port
    proxy = f"http://me:{PROXY_PASSWORD}@127.0.0.1:{port}"
    there = {"s3_endpoint_url": "http://192.0.2.1", "allow_http": True, "s3_preset": "aws"}
    provider = make("aws", **KEYS, **there, proxies={"http": proxy, "https": proxy})
    carry_out(provider, watch, "proxy", "canary-bucket")
    watch.see("provider", *walk(provider))
    basic = base64.b64encode(f"me:{PROXY_PASSWORD}".encode()).decode()
    watch.secrets["proxy's password on the wire"] = basic
    assert (f"Basic {basic}" in {asked.headers.get("proxy-authorization") for asked in script.asked}) is listening
    assert watch.found() == set()


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


# Where secrets come from


def test_nothing_is_shown_of_the_environment(watch, make, serve, monkeypatch):
    script = serve(lambda _: failure(403, "AccessDenied"))
    monkeypatch.setenv("AWS_ACCESS_KEY", CANARIES["access key"])
    monkeypatch.setenv("AWS_SECRET_KEY", CANARIES["secret key of the environment"])
    provider = make("aws", s3_endpoint_url=script.url)
    carry_out(provider, watch, "environment", "canary-bucket")
    assert f"Credential={CANARIES['access key']}" in script.asked[0].headers["authorization"]
    assert watch.found() == set()


@pytest.mark.parametrize("where", ["environment", "file"])
def test_nothing_is_shown_of_what_the_sdk_finds(watch, make, serve, monkeypatch, tmp_path, where):
    script = serve(lambda _: failure(403, "AccessDenied"))
    secret = CANARIES[f"secret key of the SDK's {where}"]
    for name in ("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    if where == "file":
        lines = ("[default]", f"aws_access_key_id={CANARIES['access key']}", f"aws_secret_access_key={secret}")
        (tmp_path / "credentials").write_text("\n".join(lines))
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", CANARIES["access key"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    provider = make("aws", s3_endpoint_url=script.url)
    carry_out(provider, watch, where, "canary-bucket")
    assert f"Credential={CANARIES['access key']}" in script.asked[0].headers["authorization"]
    watch.see("provider", *walk(provider))
    assert watch.found() == set()


def profile_file(monkeypatch, tmp_path, mode, *more):
    path = tmp_path / "profiles.toml"
    secret = CANARIES["secret key of a profile"]
    lines = ("[profile.lab]", 'provider = "aws"', 'aws_access_key = "AK"', f'aws_secret_key = "{secret}"', *more)
    path.write_text("\n".join(lines))
    path.chmod(mode)
    monkeypatch.setenv("CBS_CONFIG", str(path))
    return path


def test_nothing_is_shown_of_a_profile(watch, make, serve, monkeypatch, tmp_path):
    script = serve(lambda _: failure(403, "AccessDenied"))
    profile_file(monkeypatch, tmp_path, 0o600)
    provider = make("aws", profile="lab", s3_endpoint_url=script.url)
    carry_out(provider, watch, "profile", "canary-bucket")
    assert "Credential=AK/" in script.asked[0].headers["authorization"]
    assert provider.session.driver.native.meta.region_name == "us-east-1"
    assert watch.found() == set()


@pytest.mark.parametrize(
    "more",
    [("aws_regoin_name = 'x'",), ("[profile.other]", "provider = 3"), ("deadline = 'x'",), ("not toml",)],
    ids=["misspelt", "no provider", "wrong value", "not toml"],
)
def test_nothing_is_shown_of_a_profile_that_is_refused(watch, monkeypatch, tmp_path, more):
    profile_file(monkeypatch, tmp_path, 0o600, *more)
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("aws", {"profile": "lab"})
    watch.see_error("profile", caught.value)
    assert watch.found() == set()


@pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX systems")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o660, 0o777])
def test_a_profile_file_with_secrets_that_others_can_read_or_alter_is_refused(watch, monkeypatch, tmp_path, mode):
    path = profile_file(monkeypatch, tmp_path, mode)
    with pytest.raises(InvalidConfigurationException, match=re.escape(f"chmod 600 {path}")) as caught:
        CloudProviderFactory().create_provider("aws", {"profile": "lab"})
    watch.see_error("profile", caught.value)
    assert watch.found() == set()
    path.chmod(0o600)
    assert CloudProviderFactory().create_provider("aws", {"profile": "lab"}).name == "AWSCloudProvider"


def test_a_profile_file_without_secrets_may_be_read_by_all(monkeypatch, tmp_path):
    path = tmp_path / "profiles.toml"
    path.write_text(f'[profile.lab]\nprovider = "local"\nlocal_root = "{tmp_path}"\n')
    path.chmod(0o644)
    monkeypatch.setenv("CBS_CONFIG", str(path))
    assert CloudProviderFactory().create_provider("local", {"profile": "lab"}).storage.buckets.list() == []


def test_the_permissions_are_those_of_the_file_that_is_read(monkeypatch, tmp_path):
    path = profile_file(monkeypatch, tmp_path, 0o644)
    real = Path.open

    def swap(self, *arguments, **keywords):
        file = real(self, *arguments, **keywords)
        if arguments == ("rb",):
            path.unlink()
            profile_file(monkeypatch, tmp_path, 0o600)
        return file

    monkeypatch.setattr(Path, "open", swap)
    with pytest.raises(InvalidConfigurationException, match="chmod 600"):
        CloudProviderFactory().create_provider("aws", {"profile": "lab"})


# Configurations that are refused, with the secrets in them


@pytest.mark.parametrize(
    "wrong",
    [
        {"aws_regoin_name": "x"},
        {"deadline": "x"},
        {"deadline": 0},
        {"proxies": 3},
        {"proxies": f"http://me:{PROXY_PASSWORD}@proxy:1"},
        {"aws_session_token": CANARIES["session token"].encode()},
        {"aws_access_key": None},
        {"s3_preset": "none-such"},
        {"s3_endpoint_url": f"https://me:{ADDRESS_PASSWORD}@example.org"},
        {"s3_endpoint_url": f"http://me:{ADDRESS_PASSWORD}@example.org", "s3_preset": "wasabi"},
        {"s3_endpoint_url": f"me:{ADDRESS_PASSWORD}@example.org"},
        {"s3_endpoint_url": f"https://me:{ADDRESS_PASSWORD}@[::1", "s3_preset": "other"},
        {"s3_endpoint_url": "http://example.org"},
        {"aws_region_name": "no region!"},
        {"keys": "odd"},
        {"on_event": 3},
        {"retry": 3},
    ],
    ids=repr,
)
def test_nothing_is_shown_of_a_configuration_that_is_refused(watch, wrong, monkeypatch):
    for name in ("AWS_ACCESS_KEY", "AWS_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    given = {**KEYS, "local_secret": CANARIES["secret of LOCAL's URLs"], **wrong}
    del given["local_secret"]
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("aws", given)
    watch.see_error("config", caught.value)
    assert watch.found() == set()


def test_nothing_is_shown_of_a_missing_sdk(watch, monkeypatch):
    monkeypatch.setattr("cloudbridge_store.core.registry.load", raiser(InvalidConfigurationException("no SDK")))
    with pytest.raises(InvalidConfigurationException) as caught:
        CloudProviderFactory().create_provider("aws", KEYS)
    watch.see_error("config", caught.value)
    assert watch.found() == set()


def raiser(error):
    def fail(*_, **__):
        raise error

    return fail


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


def test_providers_of_different_secrets_are_different():
    one, other, same = (
        CloudProviderFactory().create_provider("aws", {**KEYS, "aws_secret_key": secret, "proxies": {"http": proxy}})
        for secret, proxy in (("a", "http://p"), ("b", "http://p"), ("a", "http://p"))
    )
    assert one == same
    assert one != other
    assert one != CloudProviderFactory().create_provider(
        "aws", {**KEYS, "aws_secret_key": "a", "proxies": {"http": "http://q"}}
    )


def test_a_provider_pickles_with_its_secrets_and_nothing_else_does(make, tmp_path):
    # They are its configuration: without them the other process could not use it. The documentation says so.
    provider = make("local", local_root=tmp_path, local_secret=CANARIES["secret of LOCAL's URLs"], on_event=None)
    there = pickle.loads(pickle.dumps(provider))
    assert there == provider
    assert there.config["local_secret"] == CANARIES["secret of LOCAL's URLs"]


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
