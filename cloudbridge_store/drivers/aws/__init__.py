"""AWS S3, and every service that speaks its protocol."""

from cloudbridge_store.drivers.aws.driver import AwsDriver

__all__ = ["AwsDriver"]
