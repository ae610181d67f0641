#!/usr/bin/env python3
"""The project's two commands, for a machine that has Python 3.11 or later and pip, and nothing else of ours.

``python3 tests/bootstrap.py demo [DIRECTORY]`` runs the demo on the files of a directory;
``python3 tests/bootstrap.py test [--only NAME] [ARGUMENT ...]`` runs the checks of ``tox.ini``.

What they need is installed into ``.venv`` beside ``setup.cfg``, which is made at the first time and used again. Nothing
else on the machine is changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENT = PROJECT / ".venv"
SCRIPTS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
# pytest comes last, so that its closing line does.
CHECKS = ("lint", "types", "docs", "dist", "bare", "py")


def main(arguments: list[str] | None = None) -> int:
    """Run the command that is asked for and return its exit status."""
    choice, others = _parser().parse_known_args(arguments)
    if choice.command == "demo":
        _install("demo", "--editable", f"{PROJECT}[cli]")
        return _run("cloudbridge-store", "demo", *choice.directory, *others)
    _install("test", "tox>=4.20")
    if others[:1] == ["--"]:
        del others[0]
    return _run("tox", "run", "-e", ",".join(choice.only or CHECKS), "--", *others, cwd=PROJECT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bootstrap.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="run the demo; further options are its own")
    demo.add_argument("directory", nargs="*", metavar="DIRECTORY", help="real files to store (default: Python's own)")
    test = commands.add_parser("test", help="run the checks; further arguments are pytest's", allow_abbrev=False)
    test.add_argument(
        "--only", action="append", metavar="NAME", help=f"this check alone; may be repeated: {', '.join(CHECKS)}, ..."
    )
    return parser


def _install(purpose: str, *requirements: str) -> None:
    """Install what one of the commands needs, unless this very thing was installed before."""
    python = _environment()
    stamp = ENVIRONMENT / f"{purpose}.stamp"
    wanted = _fingerprint(*requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    stamp.unlink(missing_ok=True)
    print(f"Installing what the {purpose} needs into {ENVIRONMENT} ...", file=sys.stderr, flush=True)
    # This pip installs into that environment (since pip 22.3), which therefore needs none: Debian's Python comes
    # without the package that would put one there. PIP_USER would send everything to the home directory instead.
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    if subprocess.run([*pip, *requirements], check=False, env={**os.environ, "PIP_USER": "0"}).returncode:
        raise SystemExit("bootstrap.py: the installation failed; is pip there, and the package index within reach?")
    stamp.write_text(wanted, encoding="utf-8")


def _fingerprint(*parts: str) -> str:
    digest = hashlib.sha256("\0".join((sys.version, sys.base_prefix, *parts)).encode())
    for name in ("setup.cfg", "pyproject.toml"):
        digest.update((PROJECT / name).read_bytes())
    return digest.hexdigest()


def _environment() -> Path:
    """Return the Python of our environment. One that is broken, or another Python's, is made anew."""
    python = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
    mark = ENVIRONMENT / "made-by-bootstrap"
    if _version(python) == sys.version:
        return python
    if ENVIRONMENT.exists():
        if not mark.exists():
            raise SystemExit(f"bootstrap.py: {ENVIRONMENT} is not of its making and not of this Python; move it away")
        shutil.rmtree(ENVIRONMENT)
    ENVIRONMENT.mkdir()
    mark.touch()
    venv.create(ENVIRONMENT, symlinks=os.name != "nt")
    return python


def _version(python: Path) -> str | None:
    """Return the version of the Python at a path, ``None`` if it does not run."""
    try:
        probe = [str(python), "-c", "import sys; print(sys.version)"]
        return subprocess.run(probe, capture_output=True, check=True, text=True, encoding="utf-8").stdout.rstrip("\n")
    except (OSError, subprocess.CalledProcessError):
        return None


def _run(program: str, *arguments: str, cwd: Path | None = None) -> int:
    try:
        return subprocess.run([SCRIPTS / program, *arguments], check=False, cwd=cwd).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is started by whatever "python3" is
        raise SystemExit("bootstrap.py: Python 3.11 or later is needed")
    sys.exit(main())
