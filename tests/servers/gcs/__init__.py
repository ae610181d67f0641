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

There are no HMAC keys, no metadata server, and no TLS.
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
