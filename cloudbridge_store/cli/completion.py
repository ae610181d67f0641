"""Shell completion of ``cbs://`` URLs, also in bash, which takes a colon for the end of a word."""

from __future__ import annotations

import os
import re
from typing import Any

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

from cloudbridge_store.cli.locations import SCHEME, Override, Remote, Stores, all_profiles, parse

_LIMIT = 100
_SPECIAL = re.compile(r"[^\w/:.,@%+=-]")
_ESCAPED = r"\\\g<0>"
_PATIENCE = {"connect_timeout": "2", "read_timeout": "3", "deadline": "4", "retry_attempts": "1"}

# click's own script asks with bash's words, in which cbs://x is three. This one asks with the line as it was typed, and
# what bash has taken for words of their own is cut off the answers, as bash replaces only the last of its words.
_BASH_SOURCE = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    response=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete \\
        CBS_WORDBREAKS="$COMP_WORDBREAKS" "$1")
    COMPREPLY=()
    for completion in $response; do
        type=${completion%%%%,*} value=${completion#*,}
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            part) compopt -o nospace; COMPREPLY+=("$value") ;;
            *) COMPREPLY+=("$value") ;;
        esac
    done
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""


class ColonSafeBashComplete(BashComplete):
    """click's completion for bash, with words that may hold colons."""

    source_template = _BASH_SOURCE

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor's, and the beginning of that one."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        incomplete = "" if line[-1:].isspace() or not words else words.pop()
        breaks = os.environ.get("CBS_WORDBREAKS", ":")
        self._taken = incomplete[: incomplete.rfind(":") + 1] if ":" in breaks else ""
        return words, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return what bash puts in place of its last word; a completion to be continued is of type ``part``."""
        value = str(item.value).removeprefix(self._taken)
        kind = "part" if item.type == "plain" and value.endswith("/") else item.type
        return f"{kind},{_SPECIAL.sub(_ESCAPED, value)}"


add_completion_class(ColonSafeBashComplete)


def complete_location(incomplete: str, *, files: bool) -> list[CompletionItem[Any]]:
    """Return what a location may go on with: profiles, buckets, one level of keys; files too where they may stand."""
    local: list[CompletionItem[Any]] = [CompletionItem(incomplete, type="file")] if files else []
    if not incomplete.startswith(SCHEME):
        return [CompletionItem(SCHEME), *local] if SCHEME.startswith(incomplete) else local
    try:
        return [CompletionItem(url) for url in _urls(incomplete)]
    except Exception:  # whatever is wrong, the user is still typing, and the command will tell
        return []


def _urls(incomplete: str) -> list[str]:
    location = parse(incomplete)
    if not isinstance(location, Remote):
        return []
    start = incomplete.removeprefix(SCHEME).removeprefix("/")
    if "/" not in start:
        return [f"{SCHEME}{name}/" for name in all_profiles() if name.startswith(start)]
    stores = Stores(Override(None, key, value) for key, value in _PATIENCE.items())
    try:
        if start.count("/") == 1:
            buckets = stores.provider(location.profile).storage.buckets.list(limit=_LIMIT)
            names = [bucket.name for bucket in buckets if bucket.name.startswith(location.bucket)]
            return [f"{SCHEME}{location.profile}/{name}/" for name in names]
        page = stores.bucket(location).objects.list(limit=_LIMIT, prefix=location.key, delimiter="/")
        keys = sorted([*page.prefixes, *(each.name for each in page)])
        return [str(location.at(key)) for key in keys if "\n" not in key]
    finally:
        stores.close()
