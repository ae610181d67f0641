"""The one way to the service: directly where that is possible, else by boto3's client."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError

from cloudbridge_store.drivers.aws.client import ClientMaker
from cloudbridge_store.drivers.aws.plan import Plan, is_aws
from cloudbridge_store.drivers.aws.regions import is_elsewhere, named_region
from cloudbridge_store.drivers.aws.translate import refuse_page
from cloudbridge_store.drivers.base import Step, once
from cloudbridge_store.errors import (
    BucketNotFoundError,
    StoreError,
    UnsupportedOperationError,
    UploadNotFoundError,
)

_MOST_HOMES = 10_000
# Of a shorter name some services say no more than that the request is bad.
_BUCKET = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{3,255}|arn:[A-Za-z0-9:/_-]{1,2048}")


class Service:
    """A client, and the one way to it. A bucket of another region is followed there once, and remembered."""

    def __init__(self, plan: Plan, region: str | None = None) -> None:
        self.plan = plan
        self.preset = plan.preset
        self._maker = ClientMaker(plan, region)
        self.region = self._maker.region
        self._elsewhere: dict[str, Service] = {}
        self._homes: dict[str, str] = {}
        """Regions of buckets, where they differ from this one."""
        self.step: Step = once
        self._lock = threading.Lock()
        self._direct = self._maker.direct()

    @property
    def client(self) -> Any:
        """boto3's client."""
        return self._maker.client

    @functools.cached_property
    def trusted(self) -> bool:
        """Whether this is AWS itself, which checks what it is told to check; of others not all do."""
        # Without an address of ours the environment can name one.
        return is_aws(self.plan.endpoint or self.client.meta.endpoint_url)

    @property
    def native(self) -> Any:
        """The same for others, who may register handlers with it."""
        return self._maker.watched()

    def send(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out one operation. Parameters that are ``None`` are left out.

        :raises BucketNotFoundError: no bucket can have that name; it could lead to another address.
        """
        bucket = parameters.get("Bucket")
        if bucket is not None and not _BUCKET.fullmatch(bucket):
            raise BucketNotFoundError("no bucket has such a name", bucket=bucket)
        if parameters.get("UploadId") == "":
            # A part of no upload would be an object.
            raise UploadNotFoundError("no upload has an empty id", bucket=bucket)
        if not self.preset.metadata_underscore and any("_" in name for name in parameters.get("Metadata") or ()):
            raise UnsupportedOperationError("this service makes a hyphen of an underscore in a name of metadata")
        given = {name: value for name, value in parameters.items() if value is not None}
        home = self.home_of(bucket)
        try:
            return home._carry_out(operation, given)  # noqa: SLF001 - another one of this class
        except ClientError as error:
            region = home.region_meant(error, bucket)
            if region is None or bucket is None or operation == "create_bucket":
                raise
            self.remember(bucket, region)
            if "Body" in given:
                given["Body"].seek(0)
            return self.at(region)._carry_out(operation, given)  # noqa: SLF001 - another one of this class

    def home_of(self, bucket: str | None) -> Service:
        """Return the service in the region of a bucket, as far as it is known."""
        region = self._homes.get(bucket) if bucket is not None else None
        return self if region is None else self.at(region)

    def remember(self, bucket: str, region: str) -> None:
        """Send what concerns a bucket to its region from now on."""
        if len(self._homes) >= _MOST_HOMES:
            self._homes.clear()
        self._homes[bucket] = region

    def region_meant(self, error: ClientError, bucket: str | None) -> str | None:
        """Return the other region that an answer sends us to, asking for it where the answer does not name it."""
        region = named_region(error)
        if region is None and bucket is not None and error.operation_name != "HeadBucket" and is_elsewhere(error):
            try:
                region = self._carry_out("head_bucket", {"Bucket": bucket}).get("BucketRegion")
            except ClientError as answer:
                region = named_region(answer)
        return region if region != self.region else None

    def _carry_out(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            direct = None if self._maker.hooked else self._direct
            answer: dict[str, Any] | None = direct.send(operation, given) if direct is not None else None
            if answer is None:
                answer = getattr(self.client, operation)(**given)
                assert answer is not None
        except HTTPClientError as error:
            # What the body raised while it was sent is not the connection's fault.
            cause = error.kwargs.get("error")
            if isinstance(cause, StoreError):
                raise cause from None
            raise
        if "Body" not in answer:
            refuse_page(answer)
        return answer

    def accepted(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that an operation knows; its name is the protocol's, such as ``UploadPart``."""
        members = self._maker.service_model.operation_model(operation).input_shape.members
        return {name: value for name, value in parameters.items() if name in members}

    def at(self, region: str) -> Service:
        """Return the service in another region: a bucket can only be created there."""
        if region == self.region:
            return self
        with self._lock:
            if region not in self._elsewhere:
                self._elsewhere[region] = Service(self.plan, region)
            return self._elsewhere[region]

    def renew(self) -> bool:
        """Get new credentials; ``False`` where there are none to get."""
        for each in list(self._elsewhere.values()):
            each.renew()
        return self._maker.renew()

    def close(self) -> None:
        """Release the connections."""
        for each in self._elsewhere.values():
            each.close()
        self._maker.close()
        if self._direct is not None:
            self._direct.close()
