"""A Google Cloud Storage for tests, as strict as the service, in a process of its own, on a free port of this machine.

What is to be known of it, as ``server("gcs")`` tells it:

``url``
    Where everything is: the JSON API, the XML API, batches, tokens, and IAM's ``signBlob``.
``project``
    The project of the account that may do everything in it.
``credentials_file``
    The key of that account, a file of JSON as the console gives it out. Its ``token_uri`` is here.
``stranger_credentials_file``
    The key of an account that owns ``stranger_project`` and has no rights in ``project``.
``short_lived_credentials_file``
    The first account again. Tokens asked for by this one end after a second, and say that they last an hour: what a
    clock that is wrong, or a token that was revoked, looks like. ``POST {url}/revoke?token=...`` ends any token.
``iam_url``
    Where ``/v1/projects/-/serviceAccounts/<email>:signBlob`` is: the same place.

It is a virtual machine's metadata server, too: ``GCE_METADATA_HOST`` and ``GCE_METADATA_IP`` are to be its address and
port. There are no HMAC keys, and no TLS.

Every rule is one of Google's reference, https://cloud.google.com/storage/docs. The modules name the pages they follow:

=================== =====================================================================================
``routes``          which request means what; ``call``: parameters; ``schema``: fields, as the API describes itself
``identity``        tokens, ``signBlob``; ``metadata_server``; ``access``: who may do what; ``acls``: lists and policies
``bucket_rules``    names, places, classes, lifecycle, retention of buckets; ``buckets``: their methods
``creating``        names, metadata, digests and keys of objects; ``objects``: their methods; ``lists``; ``selecting``
``inserts``         uploads in one request; ``resumable``; ``xml_uploads``: in parts; ``forms``: signed forms
``copying``         rewrites, copies, compositions; ``media``: downloads; ``batch``
``signing``         signed URLs; ``xml_api``: what they are used on
``refusals``        what is said when something is not done, in JSON, in XML, in plain text
=================== =====================================================================================

Where it differs from the service, it is on the side of refusing:

* Unknown parameters and fields are 400; the service overlooks some. What the fake does not have is 501, and 400 if it
  is a parameter. That is: notifications, HMAC keys, folders, moves, relocation, caches, bulk restores, conditions of
  bindings, address filters, hierarchical namespaces, and of the XML API all but objects, uploads and forms.
* Names of buckets with dots are 403, as for who has not shown that the domain is theirs.
* A chunk of a resumable upload that is not the last must be a multiple of 256 KiB; the service keeps what is one.
* The answer to the end of an upload in parts has no ``x-goog-generation``: the reference does not promise it.

Where it is less than the service: lifecycle rules, autoclass, websites and CORS are kept, and nothing comes of them; of
what is soft-deleted a bucket keeps the last 64 MiB, and no policy's time ends it.
"""

from __future__ import annotations

from importlib.util import find_spec

from servers.process import Server, Unavailable, answers, free_ports

PROJECT, OTHER_PROJECT = "test-project", "other-project"
FILES = {
    "credentials.json": (True, "/token"),
    "short-lived.json": (True, "/short/token"),
    "stranger.json": (False, "/token"),
}
"""By the name of a file with credentials: whether they are those of the first account, and where its tokens are."""


class GcsServer(Server):
    """A fake Google Cloud Storage that runs until :meth:`stop`."""

    module = "servers.gcs"
    project, stranger_project = PROJECT, OTHER_PROJECT

    def arguments(self):
        for needed in ("google_crc32c", "cryptography"):
            if find_spec(needed) is None:
                raise Unavailable(f"{needed} is not installed")
        [self.port] = free_ports(1)
        self.url = self.iam_url = f"http://127.0.0.1:{self.port}"
        names = ("credentials_file", "short_lived_credentials_file", "stranger_credentials_file")
        for attribute, name in zip(names, FILES, strict=True):
            setattr(self, attribute, self.directory / name)
        return (self.port,)

    def is_ready(self):
        return answers(self.port)
