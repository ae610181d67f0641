"""Where things are: ``cbs://PROFILE/bucket/key``, a local path, or ``-`` for standard input and output."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from cloudbridge_store import Bucket, BucketObject, CloudProvider, CloudProviderFactory
from cloudbridge_store.config import profile_path, read_profiles
from cloudbridge_store.drivers.base import BucketInfo
from cloudbridge_store.errors import ObjectNotFoundError

SCHEME = "cbs://"
_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True, slots=True)
class Remote:
    """A place in a store. What is empty is not said: ``Remote()`` is all profiles, without a bucket all buckets.

    The key is everything behind the bucket's slash, as it stands: nothing in it is decoded or resolved.
    """

    profile: str = ""
    bucket: str = ""
    key: str = ""

    def __str__(self) -> str:
        if not self.bucket:
            return f"{SCHEME}{self.profile}"
        return (
            f"{SCHEME}{self.profile}/{self.bucket}/{self.key}" if self.key else f"{SCHEME}{self.profile}/{self.bucket}"
        )

    def at(self, key: str) -> Remote:
        """Return another key's place in the same bucket."""
        return replace(self, key=key)

    @property
    def is_directory(self) -> bool:
        """Whether it names the place for keys rather than a key."""
        return not self.key or self.key.endswith("/")

    def as_prefix(self) -> str:
        """Return the prefix of all that is below it, as if it were a directory."""
        return self.key if self.is_directory else f"{self.key}/"


@dataclass(frozen=True, slots=True)
class Local:
    """A file or directory of this machine."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def path(self) -> Path:
        """The path, which has lost a slash at its end."""
        return Path(self.text)

    @property
    def is_directory(self) -> bool:
        """Whether it names a directory, one to be made included."""
        return self.text.endswith(("/", os.sep)) or self.path.is_dir()


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard input, or standard output."""

    def __str__(self) -> str:
        return "-"


Location = Remote | Local | Standard


def parse(text: str) -> Location:
    """Read a location. :raises click.BadParameter: it looks like a URL and is none of ours, or lacks a part."""
    if text == "-":
        return Standard()
    if text.startswith(SCHEME):
        # Some programs drop the host of a scheme that they do not know, so its place may be empty.
        profile, _, rest = text[len(SCHEME) :].removeprefix("/").partition("/")
        bucket, _, key = rest.partition("/")
        if (rest and not profile) or (key and not bucket):
            message = f"{text!r} lacks a part; write {SCHEME}PROFILE/bucket/key"
            raise click.BadParameter(message)
        return Remote(profile, bucket, key)
    if not text:
        message = "an empty text is no path"
        raise click.BadParameter(message)
    if _OTHER_SCHEME.match(text):
        message = f"{text!r} is no URL of this program; write {SCHEME}PROFILE/bucket/key, or ./{text} for a file"
        raise click.BadParameter(message)
    return Local(text)


class Profile(NamedTuple):
    """Where a profile comes from and what it says."""

    provider: str
    values: Mapping[str, Any]
    built_in: bool


class Override(NamedTuple):
    """One ``--config [PROFILE:]KEY=VALUE``."""

    profile: str | None
    key: str
    value: str


def parse_override(text: str) -> Override:
    """Read the argument of ``--config``. :raises click.BadParameter: it has no ``=``."""
    name, equals, value = text.partition("=")
    profile, colon, key = name.rpartition(":")
    if not equals or not key:
        message = f"{text!r} is not KEY=VALUE or PROFILE:KEY=VALUE"
        raise click.BadParameter(message)
    return Override(profile if colon else None, key, value)


def all_profiles() -> dict[str, Profile]:
    """Return every profile by name: those of ``profiles.toml``, and each provider under its own name."""
    built_in = {name: Profile(name, {}, built_in=True) for name in CloudProviderFactory().list_providers()}
    written = {
        name: Profile(
            values["provider"], {key: value for key, value in values.items() if key != "provider"}, built_in=False
        )
        for name, values in read_profiles().items()
    }
    return {**built_in, **written}


class Stores:
    """The providers that a command uses, each opened once."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._overrides = tuple(overrides)
        self._profiles: dict[str, Profile] | None = None
        self._opened: dict[str, CloudProvider] = {}

    def provider(self, name: str, **forced: str) -> CloudProvider:
        """Return a profile's provider. :raises click.UsageError: there is no such profile."""
        if name not in self._opened:
            profile = self._find(name)
            # Its values are given, not looked up: what the URL names must not be another place because of the
            # environment. "profile" keeps CBS_PROFILE from adding the values of yet another one.
            config = {"profile": name, **profile.values, **self._overrides_of(name), **forced}
            self._opened[name] = CloudProviderFactory().create_provider(profile.provider, config)
        return self._opened[name]

    def _find(self, name: str) -> Profile:
        if self._profiles is None:
            self._profiles = all_profiles()
        for wanted in (name, *(each.profile for each in self._overrides if each.profile is not None)):
            if wanted not in self._profiles:
                near = difflib.get_close_matches(wanted, self._profiles, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(self._profiles)}"
                message = f"no profile {wanted!r} in {profile_path()}; {hint}"
                raise click.UsageError(message)
        return self._profiles[name]

    def _overrides_of(self, name: str) -> dict[str, str]:
        return {each.key: each.value for each in self._overrides if each.profile in (None, name)}

    def bucket(self, remote: Remote) -> Bucket:
        """Return a handle for a bucket, without asking: credentials may permit objects and not their bucket."""
        return Bucket(self.provider(remote.profile), BucketInfo(remote.bucket))

    def stored(self, remote: Remote) -> BucketObject:
        """Return an object that exists. :raises ObjectNotFoundError:"""
        found = self.bucket(remote).objects.get(remote.key)
        if found is None:
            message = f"{remote} does not exist"
            raise ObjectNotFoundError(message)
        return found

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.popitem()[1].close()
