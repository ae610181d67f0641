"""Who may read a bucket, and under which addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from cloudbridge_store.drivers.aws.errors import NOT_S3, code_of
from cloudbridge_store.drivers.aws.service import Service
from cloudbridge_store.drivers.aws.translate import require
from cloudbridge_store.drivers.base import FormOptions, Method, SignedForm, SignedRequest, SignOptions
from cloudbridge_store.errors import AuthenticationError, ForeignAnswerError, InvalidRequestError

_OPERATIONS: Mapping[Method, str] = {
    "GET": "get_object",
    "HEAD": "head_object",
    "PUT": "put_object",
    "DELETE": "delete_object",
}
_CHOSEN_BY_SENDER = "${filename}"
_STATEMENT = "CloudbridgeStorePublicRead"
# These regions have their websites under a name with a dash, all later ones with a dot.
_DASHED_WEBSITES = frozenset(
    {
        "us-east-1",
        "us-west-1",
        "us-west-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-northeast-1",
        "eu-west-1",
        "sa-east-1",
        "us-gov-west-1",
    }
)


def sign_url(
    service: Service, bucket: str, key: str, method: Method, seconds: int, options: SignOptions
) -> SignedRequest:
    """Sign one method on one object."""
    parameters: dict[str, Any] = {"Bucket": bucket, "Key": key}
    headers = {}
    if method == "GET":
        if options.content_type is not None:
            parameters["ResponseContentType"] = options.content_type
        if options.content_disposition is not None:
            parameters["ResponseContentDisposition"] = options.content_disposition
    elif method == "PUT" and options.content_type is not None:
        parameters["ContentType"] = headers["Content-Type"] = options.content_type
    url = service.home_of(bucket).client.generate_presigned_url(_OPERATIONS[method], parameters, seconds, method)
    if not urlsplit(url).query:
        raise AuthenticationError("there are no credentials to sign with")
    return SignedRequest(url, method, headers)


def sign_form(service: Service, bucket: str, key: str, seconds: int, options: FormOptions) -> SignedForm:
    """Sign a POST policy."""
    if not options.prefix and key.endswith(_CHOSEN_BY_SENDER):
        raise InvalidRequestError(f"S3 takes {_CHOSEN_BY_SENDER} at the end of a key for the sender's choice")
    terms: list[Any] = []
    if options.min_size or options.max_size is not None:
        largest = service.preset.max_part if options.max_size is None else options.max_size
        terms.append(["content-length-range", options.min_size, largest])
    fields = {}
    if options.content_type is not None:
        fields["Content-Type"] = options.content_type
        terms.append({"Content-Type": options.content_type})
    name = f"{key}{_CHOSEN_BY_SENDER}" if options.prefix else key
    client = service.home_of(bucket).client
    form = client.generate_presigned_post(bucket, name, fields, terms, seconds)
    return SignedForm(form["url"], form["fields"])


def public_url(service: Service, bucket: str, key: str) -> str:
    """Return the address of an object without a signature."""
    client = service.home_of(bucket).client
    url: str = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, 60, "GET")
    return urlsplit(url)._replace(query="").geturl()


def set_public(service: Service, bucket: str, *, public: bool) -> None:
    """Add the statement that lets everybody read to the bucket's policy, or take it out; the rest stays."""
    if public:
        _block_policies(service, bucket, block=False)
    policy = _read_policy(service, bucket)
    statements = [each for each in policy.get("Statement", []) if each.get("Sid") != _STATEMENT]
    if public:
        statements.append(
            {
                "Sid": _STATEMENT,
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:{service.client.meta.partition}:s3:::{bucket}/*",
            }
        )
    if statements:
        text = json.dumps({"Version": "2012-10-17", **policy, "Statement": statements})
        service.send("put_bucket_policy", Bucket=bucket, Policy=text)
    else:
        service.send("delete_bucket_policy", Bucket=bucket)
    if not public:
        _block_policies(service, bucket, block=True)


def _read_policy(service: Service, bucket: str) -> dict[str, Any]:
    try:
        text = require(service.send("get_bucket_policy", Bucket=bucket), "Policy")
    except ClientError as error:
        if code_of(error) != "NoSuchBucketPolicy":
            raise
        return {}
    policy = _parsed(text)
    if isinstance(policy.get("Statement"), dict):
        policy["Statement"] = [policy["Statement"]]
    return policy


def _parsed(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        raise ForeignAnswerError("the bucket's policy is none", hint=NOT_S3)
    return policy


def _block_policies(service: Service, bucket: str, *, block: bool) -> None:
    """Permit public policies, which AWS forbids in new buckets, or forbid them again. Only AWS has such a switch."""
    if service.preset.name != "aws":
        return
    try:
        answer = service.send("get_public_access_block", Bucket=bucket)
        present = dict(require(answer, "PublicAccessBlockConfiguration"))
    except ClientError as error:
        if code_of(error) != "NoSuchPublicAccessBlockConfiguration":
            raise
        present = {}
    wanted = {**present, "BlockPublicPolicy": block, "RestrictPublicBuckets": block}
    if wanted != present:
        service.send("put_public_access_block", Bucket=bucket, PublicAccessBlockConfiguration=wanted)


def set_website(service: Service, bucket: str, index: str | None, error: str | None) -> str:
    """Serve a bucket as a static site, or stop; return where."""
    if index is None:
        service.send("delete_bucket_website", Bucket=bucket)
    else:
        configuration: dict[str, Any] = {"IndexDocument": {"Suffix": index}}
        if error is not None:
            configuration["ErrorDocument"] = {"Key": error}
        service.send("put_bucket_website", Bucket=bucket, WebsiteConfiguration=configuration)
    region = service.send("head_bucket", Bucket=bucket).get("BucketRegion") or service.region
    domain = "amazonaws.com.cn" if service.client.meta.partition == "aws-cn" else "amazonaws.com"
    return f"http://{bucket}.s3-website{'-' if region in _DASHED_WEBSITES else '.'}{region}.{domain}"
