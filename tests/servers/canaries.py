"""Secrets planted in a configuration, and a watch that looks for them in all that a program or its log could show."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import logging
import pickle
import traceback
import uuid
import warnings
from pathlib import Path
from types import FunctionType, MethodType
from urllib.parse import parse_qs, quote, urlsplit

import cloudbridge_store
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
from cloudbridge_store.errors import CloudBridgeBaseException
from cloudbridge_store.redaction import hide

PACKAGE = str(Path(cloudbridge_store.__file__).parent)
CUSTOMER_KEY = b"canaryCUSTOMERKEY0123456789abcde"
PROXY_PASSWORD, ADDRESS_PASSWORD = "canaryPROXYpassword", "canaryADDRESSpassword"
COMMON = {
    "customer's key": CUSTOMER_KEY.decode(),
    "customer's key on the wire": base64.b64encode(CUSTOMER_KEY).decode(),
    "digest of the customer's key": base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode(),
    "proxy's password": PROXY_PASSWORD,
    "address's password": ADDRESS_PASSWORD,
    "signature of a URL to copy": "canarySOURCEsignature0123456789",
    "key of signed URLs": "canaryTEMPurlKEY0123456789",
}
"""What any provider may be given."""
TEMP_URL_KEY = hide(COMMON["key of signed URLs"])
SECRET_URL = hide(f"https://127.0.0.1:1/bucket/key?sig={COMMON['signature of a URL to copy']}")
SIGNATURES = ("X-Amz-Signature", "cbs-signature", "sig", "X-Goog-Signature", "temp_url_sig")
"""The parameters by which signed URLs carry their signatures."""
_MAPPING_LAST = {"set_tags", "set_bucket_metadata"}
LOCKED = ReadOptions(customer_key=CUSTOMER_KEY)


class Watch:
    """Collects everything that is shown, and finds the secrets in it."""

    def __init__(self):
        self.secrets = dict(COMMON)
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
            (self.secrets[f"signature of {where}"],) = next(query[name] for name in SIGNATURES if name in query)
            self.see(where, repr(result), str(result))
        elif isinstance(result, SignedForm):
            fields = result.fields
            names = ("x-amz-signature", "x-goog-signature", "signature")
            self.secrets[f"signature of {where}"] = next(fields[name] for name in names if name in fields)
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
        "authenticate": (),
        "create_bucket": (bucket,),
        "head_bucket": (bucket,),
        "list_buckets": ({"limit": 10},),
        "regions": (),
        "put_object": (bucket, key, body, put),
        "head_object": (bucket, key, read),
        "get_object": (bucket, key, read),
        "copy_object": (bucket, key, bucket, f"{key}-copy", None, {"source": read}),
        "copy_url": (bucket, f"{key}-fetched", SECRET_URL, PutOptions()),
        "set_storage_class": (bucket, key, min(driver.capabilities.storage_classes, default="STANDARD")),
        "list_objects": (bucket,),
        "list_versions": (bucket,),
        "get_versioning": (bucket,),
        "set_versioning": (bucket, {"enabled": True}),
        "get_tags": (bucket, key),
        "set_tags": (bucket, key, {}),
        "sign_url": (bucket, key, "GET", 60, SignOptions()),
        "sign_form": (bucket, key, 60, FormOptions()),
        "set_temp_url_key": (TEMP_URL_KEY, bucket),
        "public_url": (bucket, key),
        "set_public": (bucket, {"public": True}),
        "set_website": (bucket, "index.html", None),
        "set_cdn": (bucket, {"enabled": True, "ttl": 60}),
        "get_cdn": (bucket,),
        "purge_cdn": (bucket, key),
        "get_usage": (bucket,),
        "set_bucket_metadata": (bucket, {"note": "no secret"}),
        "get_rules": (bucket, "cors"),
        "set_rules": (bucket, "cors", []),
        "get_account_rules": ("cors",),
        "set_account_rules": ("cors", []),
        "upload_limits": (),
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


def carry_out(provider, watch, where, bucket, key="dir/key", *, without=()):
    """Call every method of the contract once.

    :param without: methods that are not called.
    """
    session = provider.session
    upload = "no-such-upload"
    for name, arguments in calls(session.driver, bucket, key).items():
        if name in without:
            continue
        given = [upload if each == "no-such-upload" else each for each in arguments]
        keywords = given.pop() if given and isinstance(given[-1], dict) and name not in _MAPPING_LAST else {}
        method = getattr(session.driver, name)
        result = watch.attempt(f"{where} {name}", functools.partial(session.call, method, *given, **keywords))
        if name == "start_upload" and result is not None:
            upload = result
        if name == "get_object" and result is not None:
            result.stream.close()


def use(provider, watch, where):
    """Every operation twice: where things are, and where nothing is."""
    carry_out(provider, watch, where, f"canary-{uuid.uuid4().hex[:20]}")
    carry_out(provider, watch, f"{where}, failing", f"no-such-{uuid.uuid4().hex[:20]}", without={"create_bucket"})
    watch.see(f"{where} provider", *walk(provider))
    for each in (provider.storage.buckets, provider.clone()):
        watch.see(f"{where} {each}", *walk(each))
