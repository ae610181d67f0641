"""Every error that the installed SDK knows has a meaning of its own, or stands here with a reason."""

from __future__ import annotations

import pytest

pytest.importorskip("botocore")

import botocore.session
from botocore import exceptions

from cloudbridge_store import errors
from cloudbridge_store.drivers.aws.errors import classify

BARE = (errors.StoreError, errors.ProviderInternalException)
MODEL = botocore.session.Session().get_service_model("s3")
OTHER_CALLS = "of an operation that this library does not use"
SHAPES_WITHOUT_MEANING: dict[str, str] = {}
_SDK = "the SDK, or how it is called, is broken: nothing that a user could do about it"
_WAITER = "of waiters and paginators, which this library does not use"
_STUB = "of botocore's stubs, which are for tests"
KINDS_WITHOUT_MEANING = {
    "BotoCoreError": "the root of all others",
    **dict.fromkeys(
        ("ApiVersionNotFoundError", "DataNotFoundError", "MissingServiceIdError", "UndefinedModelAttributeError"), _SDK
    ),
    **dict.fromkeys(("UnknownServiceError", "UnknownServiceStyle", "ServiceNotInRegionError"), _SDK),
    **dict.fromkeys(("UnsupportedServiceProtocolsError", "InvalidExpressionError", "UnknownClientMethodError"), _SDK),
    **dict.fromkeys(("OperationNotPageableError", "PaginationError", "WaiterConfigError", "WaiterError"), _WAITER),
    **dict.fromkeys(("StubAssertionError", "StubResponseError", "UnStubbedResponseError"), _STUB),
    **dict.fromkeys(("UnsupportedS3ControlArnError", "UnsupportedS3ControlConfigurationError"), OTHER_CALLS),
    "InvalidEndpointDiscoveryConfigurationError": "of endpoint discovery, which S3 has not",
    "MD5UnavailableError": "only raised where Python has no MD5, which this library needs itself",
    "ImminentRemovalWarning": "a warning, which is not raised",
    "UnsupportedTLSVersionWarning": "a warning, which is not raised",
}


def kinds():
    found = {kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    return sorted(found, key=lambda kind: kind.__name__)


def made(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "said so")
    error.kwargs = {}
    return error


def answered(shape):
    status = MODEL.shape_for(shape).metadata.get("error", {}).get("httpStatusCode", 400)
    code = MODEL.shape_for(shape).metadata.get("error", {}).get("code", shape)
    response = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(response, "GetObject")


@pytest.mark.parametrize("shape", sorted(shape.name for shape in MODEL.error_shapes))
def test_every_error_of_the_service_model_has_a_meaning(shape):
    failure = classify(answered(shape))
    bare = failure is None or failure.error in BARE
    assert bare is (shape in SHAPES_WITHOUT_MEANING)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_exception_of_the_sdk_has_a_meaning(kind):
    if issubclass(kind, exceptions.ClientError):
        error = kind({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "GetObject")
    else:
        error = made(kind)
    failure = classify(error)
    bare = failure is None or failure.error in BARE
    assert bare is (kind.__name__ in KINDS_WITHOUT_MEANING), failure


def test_nothing_is_listed_that_is_gone():
    assert KINDS_WITHOUT_MEANING.keys() <= {kind.__name__ for kind in kinds()}
    assert SHAPES_WITHOUT_MEANING.keys() <= {shape.name for shape in MODEL.error_shapes}
    assert all((*KINDS_WITHOUT_MEANING.values(), *SHAPES_WITHOUT_MEANING.values()))
