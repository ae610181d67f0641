"""A proxy in a process of its own. It prints its addresses as one line of JSON, and runs until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from cloudbridge_store.testing.fault_proxy.admin import Admin
from cloudbridge_store.testing.fault_proxy.proxy import FaultProxy
from cloudbridge_store.testing.fault_proxy.rules import Rule


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cloudbridge_store.testing.fault_proxy", description=__doc__)
    parser.add_argument("--upstream", metavar="URL", help="the server; without, every request is answered with 200")
    parser.add_argument("--port", type=int, default=0, help="the proxy's port; a free one by default")
    parser.add_argument("--admin", type=int, default=0, metavar="PORT", help="the admin's port; a free one by default")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="speak TLS with this certificate")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the certificate's key, where it is another file")
    parser.add_argument("--upstream-ca", type=Path, metavar="FILE", help="CA of a server with TLS")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="a list of rules, as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a proxy until a signal."""
    given = _parser().parse_args(arguments)
    rules = [] if given.rules is None else [Rule.from_json(each) for each in json.loads(given.rules.read_bytes())]
    ends = {signal.SIGINT, signal.SIGTERM}
    # Before any thread starts: they inherit it, and the signal waits for this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with (
        FaultProxy(
            given.upstream,
            rules,
            port=given.port,
            certificate=given.certificate,
            key=given.key,
            upstream_ca=given.upstream_ca,
        ) as proxy,
        Admin(proxy, given.admin) as admin,
    ):
        sys.stdout.write(json.dumps({"url": proxy.url, "admin": admin.url}) + "\n")
        sys.stdout.flush()
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
