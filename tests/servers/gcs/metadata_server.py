"""What a virtual machine of the cloud tells its programs: who they are, and a token.

https://cloud.google.com/compute/docs/metadata/overview; clients find it by the variables ``GCE_METADATA_HOST`` and
``GCE_METADATA_IP``.
"""

from __future__ import annotations

import json

from servers.gcs.identity import WRITING
from servers.gcs.refusals import Refusal, no_route
from servers.gcs.resources import PROJECT_NUMBERS
from servers.gcs.wire import Answer

PREFIX = "/computeMetadata/v1"
_SCOPES = [f"https://www.googleapis.com/auth/{name}" for name in sorted(WRITING)]


def is_meant(asked):
    """Say whether a request is for this server."""
    return asked.path.startswith(PREFIX) or (asked.path == "/" and "metadata-flavor" in asked.headers)


def answer(asked, identity):
    """Answer as the machine of the first account."""
    if asked.headers.get("metadata-flavor") != "Google":
        raise Refusal(403, "forbidden", "Missing Metadata-Flavor:Google header.")
    account = next(iter(identity.accounts.values()))
    path = asked.path.removeprefix(PREFIX).strip("/")
    plain = {
        "": "computeMetadata/",
        "project/project-id": account.project,
        "project/numeric-project-id": PROJECT_NUMBERS[account.project],
        "universe/universe-domain": "googleapis.com",
    }
    for name in ("default", account.email):
        base = f"instance/service-accounts/{name}"
        plain[f"{base}/email"] = account.email
        plain[base] = json.dumps({"aliases": ["default"], "email": account.email, "scopes": _SCOPES})
        if path == f"{base}/token":
            plain[path] = identity.give(account, WRITING).body.decode()
    if path not in plain:
        raise no_route()
    kind = "application/json" if plain[path].startswith("{") else "application/text"
    return Answer(200, {"Content-Type": kind, "Metadata-Flavor": "Google"}, plain[path].encode())
