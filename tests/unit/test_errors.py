"""The tree of exceptions: complete, drawn as it is, and able to travel."""

from __future__ import annotations

import errno
import inspect
import pickle
import re

import pytest

from cloudbridge_store import errors

ALL = [
    cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.CloudBridgeBaseException)
]
STORE_ERRORS = [cls for cls in ALL if issubclass(cls, errors.StoreError)]


def drawn():
    """Read the tree in the docstring: name -> (parent's name, names of built-in bases)."""
    tree, path = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"\s{4}([│ ]*[├└]── )?(\w+)(?: \((\w+)\))?(?:\s{2,}.*)?$", line)
        if found and found[2] in vars(errors):
            depth = len(found[1] or "") // 4
            path[depth:] = [found[2]]
            tree[found[2]] = (path[depth - 1] if depth else None, found[3])
    return tree


def test_the_drawing_is_the_tree():
    tree = drawn()
    assert set(tree) == {cls.__name__ for cls in ALL}
    for cls in ALL:
        parent, builtin = tree[cls.__name__]
        assert cls.__bases__[0].__name__ == (parent or "Exception"), cls
        others = [base.__name__ for base in cls.__bases__[1:]]
        assert others == ([builtin] if builtin else []), cls


@pytest.mark.parametrize("cls", STORE_ERRORS)
def test_store_errors_say_where_and_what_and_travel(cls):
    error = cls("it broke", hint="Mend it", status=503)
    error.add_context(
        provider="toy", operation="put_object", bucket="b", key="k/x", attempts=3, outcome="unknown", status=1
    )
    assert str(error) == "toy put_object b/k/x: it broke (status 503, attempts 3, outcome unknown). Mend it"
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is cls
    assert str(twin) == str(error)
    assert twin.context() == error.context()


def test_what_the_raiser_said_stays():
    error = errors.ObjectNotFoundError("gone", bucket="theirs").add_context(bucket="ours", key="k")
    assert (error.bucket, error.key) == ("theirs", "k")
    error = errors.IntegrityError("stored, but wrong", outcome="applied").add_context(outcome="not_applied", attempts=2)
    assert (error.outcome, error.attempts) == ("applied", 2)


def test_unknown_context_is_a_mistake():
    with pytest.raises(TypeError, match="buckt"):
        errors.StoreError("x", buckt="b")


def test_a_local_error_keeps_its_number():
    error = errors.LocalIOError("disk full", errno=errno.ENOSPC)
    assert pickle.loads(pickle.dumps(error)).errno == errno.ENOSPC


def test_a_transfer_error_keeps_its_failures():
    error = errors.TransferError(
        "2 failed", failures={"a": errors.ThrottledError("slow"), "b": errors.IntegrityError("bad")}
    )
    twin = pickle.loads(pickle.dumps(error))
    assert {name: type(each) for name, each in twin.failures.items()} == {
        "a": errors.ThrottledError,
        "b": errors.IntegrityError,
    }


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidNameException("n"), errors.InvalidLabelException("l"), errors.InvalidValueException("p", 3, "hint"),
        errors.WaitStateException("w"), errors.MissingDependencyError("m"), errors.UnknownProviderError("u"),
        errors.ProviderRetiredError("r"),
    ],
)  # fmt: skip
def test_the_others_travel_too(error):
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin)) == (type(error), str(error))


def test_cloudbridges_message_for_values():
    error = errors.InvalidValueException("chunk_size", 0)
    assert str(error) == "Param chunk_size has been given an unrecognised value 0"
