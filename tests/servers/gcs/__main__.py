"""The program that is the fake: ``python -m servers.gcs directory port``."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from servers.gcs import FILES, OTHER_PROJECT, PROJECT
from servers.gcs.identity import Account, Identity
from servers.gcs.model import State
from servers.gcs.routes import Service
from servers.gcs.wire import Listener
from servers.process import end_with_stdin


def main(directory, port):
    """Serve until the process is ended."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    url = f"http://127.0.0.1:{port}"
    own = Account(f"storage-tests@{PROJECT}.iam.gserviceaccount.com", PROJECT)
    other = Account(f"stranger@{OTHER_PROJECT}.iam.gserviceaccount.com", OTHER_PROJECT)
    for name, (is_own, path) in FILES.items():
        account = own if is_own else other
        key = next(iter(account.keys), None) or account.add_key()
        (directory / name).write_text(json.dumps(account.as_file(key, url, f"{url}{path}"), indent=2))
    # Whoever holds no key has IAM sign with one that it keeps.
    own.add_key()
    Listener(port, Service(State(url, str(directory), Identity([own, other], url)))).serve()


if __name__ == "__main__":
    end_with_stdin(sys.argv[1])
    main(Path(sys.argv[1]), int(sys.argv[2]))
