"""Which request means what."""

from __future__ import annotations

import sys
import traceback
from urllib.parse import parse_qsl, unquote_to_bytes

from servers.gcs import (
    acls,
    batch,
    buckets,
    copying,
    inserts,
    lists,
    metadata_server,
    objects,
    resumable,
    schema,
    xml_api,
)
from servers.gcs.call import Call
from servers.gcs.refusals import Refusal, invalid, no_route, not_implemented
from servers.gcs.wire import Gone, Malformed, Read

_OBJECT_IFS = "ifGenerationMatch ifGenerationNotMatch ifMetagenerationMatch ifMetagenerationNotMatch"
_BUCKET_IFS = "ifMetagenerationMatch ifMetagenerationNotMatch"
_LIST = "maxResults pageToken prefix projection softDeleted"
_OBJECTS = "delimiter endOffset filter includeFoldersAsPrefixes includeTrailingDelimiter matchGlob startOffset versions"
_PREDEFINED = "predefinedAcl predefinedDefaultObjectAcl"
_O, _B = "b/{bucket}/o/{object}", "b/{bucket}"
_TO = "b/{to_bucket}/o/{to_object}"
_COPY = f"destinationKmsKeyName destinationPredefinedAcl projection sourceGeneration {_OBJECT_IFS} "
_COPY += _OBJECT_IFS.replace("if", "ifSource")
_COMPOSE = "destinationPredefinedAcl ifGenerationMatch ifMetagenerationMatch kmsKeyName"
_INSERT = f"contentEncoding {_OBJECT_IFS} kmsKeyName name predefinedAcl projection upload_id"

# A method, a path, what answers, which parameters it knows.
ROUTES = [
    ("GET", "b", buckets.list_, f"{_LIST} project returnPartialSuccess"),
    ("POST", "b", buckets.insert, f"enableObjectRetention {_PREDEFINED} project projection"),
    ("GET", _B, buckets.get, f"generation {_BUCKET_IFS} projection softDeleted"),
    ("PATCH", _B, buckets.patch, f"{_BUCKET_IFS} {_PREDEFINED} projection"),
    ("PUT", _B, buckets.update, f"{_BUCKET_IFS} {_PREDEFINED} projection"),
    ("DELETE", _B, buckets.delete, _BUCKET_IFS),
    ("POST", f"{_B}/restore", buckets.restore, "generation projection"),
    ("POST", f"{_B}/lockRetentionPolicy", buckets.lock_retention, _BUCKET_IFS),
    ("GET", f"{_B}/storageLayout", buckets.layout, "prefix"),
    ("GET", f"{_B}/iam", acls.get_policy, "optionsRequestedPolicyVersion"),
    ("PUT", f"{_B}/iam", acls.set_policy, ""),
    ("GET", f"{_B}/iam/testPermissions", acls.test_permissions, "permissions"),
    ("GET", f"{_B}/o", lists.list_objects, f"{_LIST} {_OBJECTS}"),
    ("POST", f"{_B}/o", inserts.refuse_without_upload, _INSERT),
    ("GET", _O, objects.get, f"generation {_OBJECT_IFS} projection softDeleted restoreToken"),
    ("PATCH", _O, objects.patch, f"generation {_OBJECT_IFS} overrideUnlockedRetention predefinedAcl projection"),
    ("PUT", _O, objects.update, f"generation {_OBJECT_IFS} overrideUnlockedRetention predefinedAcl projection"),
    ("DELETE", _O, objects.delete, f"generation {_OBJECT_IFS}"),
    ("POST", f"{_O}/restore", objects.restore, f"copySourceAcl generation {_OBJECT_IFS} projection restoreToken"),
    ("POST", f"{_O}/compose", copying.compose, _COMPOSE),
    ("POST", f"{_O}/rewriteTo/{_TO}", copying.rewrite, f"{_COPY} maxBytesRewrittenPerCall rewriteToken"),
    ("POST", f"{_O}/copyTo/{_TO}", copying.copy, _COPY),
    *[
        route
        for base in (f"{_B}/acl", f"{_B}/defaultObjectAcl", f"{_O}/acl")
        for route in (
            ("GET", base, acls.list_, f"generation {_BUCKET_IFS}"),
            ("POST", base, acls.insert, "generation"),
            ("GET", f"{base}/{{entity}}", acls.get, "generation"),
            ("PATCH", f"{base}/{{entity}}", acls.update, "generation"),
            ("PUT", f"{base}/{{entity}}", acls.update, "generation"),
            ("DELETE", f"{base}/{{entity}}", acls.delete, "generation"),
        )
    ],
]
_KNOWN_ELSEWHERE = {
    "anywhereCaches", "rapidCaches", "folders", "managedFolders", "notificationConfigs", "operations",
    "relocate", "hmacKeys", "serviceAccount", "bulkRestore", "moveTo", "viewFullContext", "iam",
}  # fmt: skip


class Tree:
    """Finds what answers a path."""

    def __init__(self, routes):
        self._by_size = {}
        for method, path, answer, known in routes:
            pattern = path.split("/")
            self._by_size.setdefault((method, len(pattern)), []).append((pattern, answer, frozenset(known.split())))

    def find(self, method, path):
        """Return what answers, the arguments in the path, the parameters it knows. :raises Refusal: nothing does."""
        given = path.split("/")
        for pattern, answer, known in self._by_size.get((method, len(given)), ()):
            if all(want[0] == "{" or want == got for want, got in zip(pattern, given, strict=True)):
                pairs = zip(pattern, given, strict=True)
                return answer, {want[1:-1]: decode(got) for want, got in pairs if want[0] == "{"}, known
        if _KNOWN_ELSEWHERE & set(given):
            raise not_implemented(f"{method} {path}")
        raise no_route()


def decode(text):
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise invalid("The path is not UTF-8.") from None


class Service:
    """Answers all requests."""

    def __init__(self, state):
        self.state = state
        self._json = Tree(ROUTES)

    def __call__(self, asked):
        """Answer a request, whatever it is. :raises Gone: the client went away."""
        kind = "json"
        try:
            path = asked.path
            if path.startswith("/storage/v1/"):
                kind = "text" if "alt=media" in asked.query else "json"
                return self.answer_json(asked, path.removeprefix("/storage/v1/"))
            if path.startswith("/download/storage/v1/"):
                kind = "text"
                return self._download(asked, path.removeprefix("/download/storage/v1/"))
            if path.startswith("/upload/storage/v1/"):
                return self._upload(asked, path.removeprefix("/upload/storage/v1/"))
            if path == "/batch/storage/v1":
                return batch.answer(asked, self)
            if answer := self._answer_account(asked):
                return answer
            kind = "xml"
            bucket, _, name = path.removeprefix("/").partition("/")
            return xml_api.answer(self.state, asked, decode(bucket), decode(name))
        except Refusal as refused:
            return getattr(refused, f"as_{kind}")()
        except (Gone, Malformed):
            raise
        except Exception:
            # A fault of the fake must look like none of the service, which a client would try to outlast.
            traceback.print_exc(file=sys.stderr)
            return not_implemented(traceback.format_exc(limit=-3)).as_json()

    def answer_json(self, asked, path):
        """Answer a request for a resource."""
        answer, args, known = self._json.find(asked.method, path)
        asked.body = Read(asked.body.read())
        with self.state.lock:
            return answer(Call(self.state, asked, args, known))

    def _download(self, asked, path):
        answer, args, known = self._json.find(asked.method, path)
        if answer is not objects.get or "alt=media" not in asked.query:
            raise no_route()
        with self.state.lock:
            return objects.get_media(Call(self.state, asked, args, known))

    def _upload(self, asked, path):
        parts = path.split("/")
        if len(parts) != 3 or parts[0] != "b" or parts[2] != "o":
            raise no_route()
        query = dict(parse_qsl(asked.query))
        if session := query.get("upload_id"):
            if asked.method == "DELETE":
                return resumable.cancel(self.state, session)
            if asked.method not in ("PUT", "POST"):
                raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
            return resumable.put(self.state, asked, session, f"http://{asked.headers.get('host')}")
        if asked.method != "POST":
            raise no_route()
        known = frozenset(_INSERT.split()) | schema.COMMON
        return inserts.insert(Call(self.state, asked, {"bucket": decode(parts[1])}, known))

    def _answer_account(self, asked):
        """Answer where tokens and signatures are given out, else return ``None``."""
        path = asked.path
        if metadata_server.is_meant(asked):
            return metadata_server.answer(asked, self.state.identity)
        if path in ("/token", "/short/token", "/revoke"):
            form = dict(parse_qsl(asked.query) + parse_qsl(asked.body.read().decode("latin-1")))
            if path == "/revoke":
                return self.state.identity.revoke(form)
            return self.state.identity.grant(asked, form)
        if path.startswith("/v1/projects/-/serviceAccounts/") and path.endswith(":signBlob"):
            email = decode(path.removeprefix("/v1/projects/-/serviceAccounts/").removesuffix(":signBlob"))
            return self.state.identity.sign_blob(asked, email)
        return None
