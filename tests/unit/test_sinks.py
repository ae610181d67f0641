"""Bytes to a descriptor, also in a thread behind the reader's back."""

from __future__ import annotations

import errno
import os
import random
import threading

import pytest

from cloudbridge_store.sinks import Sink, WriteBehind, open_sink

DATA = random.Random(5).randbytes(300_000)


@pytest.fixture
def file(tmp_path):
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def fill(sink, data):
    rest = memoryview(data)
    while rest:
        buffer = sink.buffer()
        count = min(len(buffer), len(rest))
        buffer[:count] = rest[:count]
        sink.write(buffer[:count])
        rest = rest[count:]


@pytest.mark.parametrize("kind", [Sink, WriteBehind])
@pytest.mark.parametrize("size", [1, 1000, 4096, 2**20])
def test_all_bytes_arrive_in_order(file, kind, size):
    data = DATA[: 3000 * min(size, 100)]
    with kind(file, size) as sink:
        fill(sink, data)
    assert os.pread(file, len(DATA) + 1, 0) == data


@pytest.mark.parametrize("kind", [Sink, WriteBehind])
def test_a_system_that_takes_little_at_a_time(file, kind, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    with kind(file, 100) as sink:
        fill(sink, DATA[:5000])
    assert os.pread(file, 6000, 0) == DATA[:5000]


@pytest.mark.parametrize("kind", [Sink, WriteBehind])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_full_disk_is_told_at_the_next_buffer_or_at_the_end(file, kind, after, monkeypatch):
    write, calls = os.write, []

    def fail(fd, data):
        calls.append(len(data))
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space"), kind(file, 100) as sink:
        fill(sink, DATA[:600])
    assert len(calls) == after + 1
    assert "cloudbridge write-behind" not in [thread.name for thread in threading.enumerate()]


def test_an_exception_in_the_block_is_the_one_that_is_seen(file, monkeypatch):
    def fail(fd, data):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(LookupError), WriteBehind(file) as sink:
        sink.write(sink.buffer()[:5])
        raise LookupError
    assert "cloudbridge write-behind" not in [thread.name for thread in threading.enumerate()]


def test_a_thread_is_for_what_is_large(file):
    assert type(open_sink(file, 0)) is Sink
    assert type(open_sink(file, 2**20)) is Sink
    assert type(open_sink(file, 2**30)) is WriteBehind
    assert len(open_sink(file, 10).buffer()) == 11
