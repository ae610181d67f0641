"""Many jobs on a few threads."""

from __future__ import annotations

import re
import threading
from contextlib import closing

import pytest

from cloudbridge_store import errors
from cloudbridge_store.core.parallel import run_parallel
from cloudbridge_store.core.progress import Progress


def test_all_items_are_done_by_at_most_so_many_at_once():
    running, most, lock = [0], [0], threading.Lock()

    def job(number):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1
        return number * 2

    with closing(run_parallel(job, range(500), 4)) as results:
        assert sorted(results) == [number * 2 for number in range(500)]
    assert most[0] <= 4


def test_items_are_taken_as_places_come_free():
    taken = []

    def items():
        for number in range(1_000_000):
            taken.append(number)
            yield number

    with closing(run_parallel(lambda number: number, items(), 3)) as results:
        for _ in range(10):
            next(results)
    assert len(taken) < 30


def test_the_first_failure_stops_it_when_all_under_way_have_ended():
    ended, before = threading.Event(), {*threading.enumerate()}

    def job(number):
        if number == 3:
            raise LookupError(number)
        ended.set()
        return number

    with pytest.raises(LookupError), closing(run_parallel(job, range(1_000_000), 2)) as results:
        for _ in results:
            pass
    assert ended.is_set()
    names = [thread.name for thread in {*threading.enumerate()} - before]
    assert [name for name in names if re.fullmatch(r"cloudbridge_\d+", name)] == []


def test_a_source_that_fails_is_the_users_error():
    def items():
        yield 1
        raise LookupError

    with pytest.raises(LookupError), closing(run_parallel(lambda number: number, items(), 2)) as results:
        list(results)


def test_progress_counts_from_many_threads_and_reports_the_end():
    seen = []
    with Progress(lambda done, total: seen.append((done, total)), 8000) as progress:
        threads = [threading.Thread(target=lambda: [progress.add(1) for _ in range(1000)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen[-1] == (8000, 8000)
    assert seen == sorted(seen)
    assert len(seen) < 100


def test_progress_true_shows_a_bar(capsys):
    with Progress(True, None, "name") as progress:
        progress.expect(10)
        progress.add(10)
    assert "name: 100%" in capsys.readouterr().err


def test_progress_true_without_tqdm_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(errors.MissingDependencyError, match="tqdm"):
        Progress(True, 1)


@pytest.mark.parametrize("wrong", ["yes", 5])
def test_progress_is_true_or_callable(wrong):
    with pytest.raises(errors.InvalidValueException):
        Progress(wrong, 1)


def test_a_silent_progress_counts_nothing():
    progress = Progress(None, 5)
    progress.add(3)
    assert not progress.watched
    assert progress.done == 0
