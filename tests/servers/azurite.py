"""Azure Blob Storage for tests: Microsoft's Azurite, which is a Node.js program, over http or over https.

What Azurite 3.35 has not, or gets wrong:

* No Put Blob From URL, no Put Block From URL, no versions, no soft delete, no account without public access.
* An asynchronous copy is over when it is answered.
* No keys of customers and no encryption scopes; no tags with an empty value; no batches that come with a SAS (500).
* Its XML holds control characters of names as they are, so that no parser reads a listing that has one.
* It checks of a token what it claims, not who signed it, and takes tokens by https alone.
* It closes connections that were idle for five seconds, also where a request arrives just then; its option for that is
  not heeded.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import sys
import time
from pathlib import Path

from servers.installs import install, run
from servers.process import Server, Unavailable, answers, certificates, end_with_stdin, free_ports, start_bound

VERSION = "3.35.0"
"""The last one that runs on the Node.js 18 and 20 that Debian and its users have."""
IDLE_SECONDS = 86_400
ACCOUNT, KEY = "testaccount", base64.b64encode(b"the key of the first account").decode()
OTHER_ACCOUNT, OTHER_KEY = "otheraccount", base64.b64encode(b"the key of the other account").decode()
# For tests of what an account has one of, such as its rules: each has one to itself.
LONE_ACCOUNTS = tuple(f"loneaccount{number}" for number in range(5))
LONE_KEY = base64.b64encode(b"the key of all lone accounts").decode()


class AzuriteServer(Server):
    """An Azurite that runs until :meth:`stop`, and knows two accounts that tests share, and some that they do not."""

    module = "servers.azurite"
    account, key = ACCOUNT, KEY
    other_account, other_key = OTHER_ACCOUNT, OTHER_KEY

    def arguments(self):
        self.program = str(find())
        [self.port] = free_ports(1)
        return (self.program, "--blobPort", self.port, *self.options())

    def options(self):
        """Name the addresses, and return what Azurite is told beside its port."""
        self.url = f"http://127.0.0.1:{self.port}"
        return ()

    def is_ready(self):
        return answers(self.port)


class AzuriteTlsServer(AzuriteServer):
    """The same over https, with a certificate of its own CA. Takes tokens too."""

    def options(self):
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca_bundle = certificates(self.directory)
        where = {"--cert": self.directory / "certificate.pem", "--key": self.directory / "key.pem"}
        return ("--oauth", "basic", *(each for option in where.items() for each in option))


def find():
    """Return Azurite's program, installed where it is missing. :raises Unavailable: it cannot be had."""
    missing = [each for each in ("node", "npm") if shutil.which(each) is None]
    if missing:
        raise Unavailable(f"{', '.join(missing)} not installed; Debian's packages are nodejs and npm")
    directory = install("azurite", (VERSION, os.path.realpath(shutil.which("node"))), _make)
    return directory / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def _make(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    # npm trusts the authorities that Node.js brings; here those that this machine trusts count, too.
    if authorities := _authorities():
        os.environ.setdefault("NODE_EXTRA_CA_CERTS", authorities)
    # Programs of packages run at installation are not needed here, and nobody has read them.
    run("npm", "install", "--prefix", str(directory), "--ignore-scripts", *quiet, f"azurite@{VERSION}")


def _authorities():
    paths = ssl.get_default_verify_paths()
    found = (os.environ.get("SSL_CERT_FILE"), paths.cafile, "/etc/ssl/certs/ca-certificates.crt")
    return next((path for path in found if path and os.path.isfile(path)), None)


def make_token(seconds=3600):
    """Return an access token that Azurite takes: what it claims is right, and nobody has signed it.

    :param seconds: from now until it ends.
    """
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000001/",
        "oid": "00000000-0000-0000-0000-000000000002",
        "tid": "00000000-0000-0000-0000-000000000001",
        "ver": "1.0",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + seconds,
    }
    parts = (json.dumps(each).encode() for each in ({"alg": "none", "typ": "JWT"}, claims))
    return ".".join((*(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts), "c2lnbmVk"))


def serve(directory, program, *options):
    """Serve until the standard input ends. Return Azurite's exit code if it ends before."""
    # It fetches the sources of copies from itself, also by https.
    os.environ["NODE_EXTRA_CA_CERTS"] = f"{directory}/ca.pem"
    accounts = {ACCOUNT: KEY, OTHER_ACCOUNT: OTHER_KEY, **dict.fromkeys(LONE_ACCOUNTS, LONE_KEY)}
    os.environ["AZURITE_ACCOUNTS"] = ";".join(f"{account}:{key}" for account, key in accounts.items())
    quiet = ("--silent", "--disableTelemetry", "--inMemoryPersistence")
    # The SDK may know versions of the protocol that this Azurite does not.
    command = ("node", "--require", _patience(directory, program), program, "--skipApiVersionCheck", *quiet)
    node = start_bound((*command, "--blobHost", "127.0.0.1", *options))
    end_with_stdin(directory)
    return node.wait()


def _patience(directory, program):
    """Return a file for Node.js to load first, by which connections stay for as long as tests run."""
    constants = Path(program).parent / "utils" / "constants.js"
    path = Path(directory) / "patience.js"
    path.write_text(f"require({json.dumps(str(constants))}).DEFAULT_BLOB_KEEP_ALIVE_TIMEOUT = {IDLE_SECONDS};\n")
    return str(path)


if __name__ == "__main__":
    sys.exit(serve(*sys.argv[1:]))
