"""The fixture by which a suite runs on a server of this run."""

from __future__ import annotations

import pytest


class OnServer:
    """Base of a test class beside the suite itself.

    ``kind`` is the harness: its own ``kind`` is the server's name.
    """

    kind = None

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls, server):
        with cls.kind(server(cls.kind.kind)) as harness:
            yield harness


class Inside:
    """The same for a store within the process."""

    kind = None

    @pytest.fixture(scope="class")
    @classmethod
    def harness(cls):
        with cls.kind() as harness:
            yield harness
