"""Hours of trouble in one command: ``python tests/reliability/soak.py --minutes 20``.

Threads store, read, copy, list and delete objects of an S3 service through a proxy that disturbs every fiftieth
request, and that is gone for three seconds in every minute, as a service is that restarts. Credentials expire all the
time. What is read is compared by its digest, a failure must be one of ours, and threads, descriptors and memory
must not grow.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from servers.moto import MotoServer

from cloudbridge_store import CloudProviderFactory, TransferConfig
from cloudbridge_store.errors import NotFoundError, StoreError
from cloudbridge_store.testing import fault_proxy as wire

MiB = 2**20
FAULTS = (
    wire.ResetBeforeRequest(),
    wire.LostAnswer(),
    wire.ResetAnswerBody(at=20),
    wire.CutAnswer(at=20),
    wire.FlipAnswerBit(at=100),
    wire.Status(status=500),
    wire.Status(status=503, retry_after=0),
    wire.Status(status=429, retry_after=0),
    wire.HtmlPage(),
)
GIVER = """
import datetime, json
over = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=15.5 * 60)
keys = {{"AccessKeyId": {access!r}, "SecretAccessKey": {secret!r}, "SessionToken": "t"}}
print(json.dumps({{"Version": 1, **keys, "Expiration": over.isoformat()}}))
"""


class Soak:
    """The run, and what was counted."""

    def __init__(self, bucket, seconds):
        self.bucket = bucket
        self.over = time.monotonic() + seconds
        self.counts = Counter()
        self.wrong = []
        self._lock = threading.Lock()

    def work(self, number):
        """Do what comes to mind with objects of one's own, until it is over."""
        dice, model = random.Random(number), {}
        while time.monotonic() < self.over and not self.wrong:
            key = f"{number}/{dice.randrange(20)}"
            act = dice.choice(
                (self.put, self.put, self.put_parts, self.get, self.get, self.file, self.copy, self.delete, self.list)
            )
            try:
                act(dice, model, key, number)
                self.count(act.__name__)
            except StoreError as error:
                model[key] = None  # nobody knows: the next write tells
                self.count(f"{act.__name__}: {type(error).__name__}")
            except Exception as error:
                self.wrong.append(f"{act.__name__} of {key}: {error!r}")

    def count(self, what):
        with self._lock:
            self.counts[what] += 1

    def put(self, dice, model, key, number):
        content = dice.randbytes(dice.randrange(200_000))
        model[key] = None
        self.bucket.objects.create(key).upload(content)
        model[key] = digest(content)

    def put_parts(self, dice, model, key, number):
        content = dice.randbytes(6 * MiB)
        model[key] = None
        self.bucket.objects.create(key).upload(content, TransferConfig(5 * MiB, 5 * MiB, 2))
        model[key] = digest(content)

    def get(self, dice, model, key, number):
        self.compare(model, key, lambda: self.bucket.objects.create(key).content())

    def file(self, dice, model, key, number):
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "target"
            config = TransferConfig(threshold=MiB, part_size=MiB, max_concurrency=3)

            def read():
                self.bucket.objects.create(key).download_to_file(target, config)
                return target.read_bytes()

            self.compare(model, key, read)
            if set(os.listdir(directory)) - {"target"}:
                self.wrong.append(f"litter beside {key}: {os.listdir(directory)}")

    def compare(self, model, key, read):
        if key not in model or model[key] is None:
            return
        try:
            found = read()
        except NotFoundError:
            self.wrong.append(f"{key} is gone")
            return
        if digest(found) != model[key]:
            self.wrong.append(f"{key} has other bytes: {len(found)}")

    def copy(self, dice, model, key, number):
        content = model.get(key)
        if content is not None:
            to = f"{number}/{dice.randrange(20)}"
            if to != key:
                model[to] = None
                self.bucket.objects.create(key).copy_to(self.bucket, to)
                model[to] = content

    def delete(self, dice, model, key, number):
        self.bucket.objects.create(key).delete()
        model.pop(key, None)
        self.wrong += [f"{key} is back"] if self.bucket.objects.exists(key) else []

    def list(self, dice, model, key, number):
        known = {name for name, content in model.items() if content is not None}
        listed = {obj.name for obj in self.bucket.objects.iter(prefix=f"{number}/")}
        self.wrong += [f"not listed: {sorted(known - listed)}"] if known - listed else []


def digest(content):
    return hashlib.sha256(content).digest()


def measure():
    """Return threads, descriptors and MiB of memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
    return threading.active_count(), len(os.listdir("/proc/self/fd")), round(memory)


def disturb(proxy, soak):
    """Plan a fault for one request in fifty, be gone for three seconds in a minute, and write down how large we are."""
    dice, began = random.Random(0), time.monotonic()
    print("| minute | threads | descriptors | MiB | operations | failed |\n|---:|---:|---:|---:|---:|---:|", flush=True)
    minute = 0
    while time.monotonic() < soak.over and not soak.wrong:
        proxy.clear()
        proxy.add(wire.Rule(lambda _: dice.random() < 1 / 50, dice.choice(FAULTS), times=None))
        time.sleep(0.5)
        if (time.monotonic() - began) // 60 > minute:
            minute += 1
            proxy.refuse()
            time.sleep(3)
            proxy.accept()
            failed = sum(count for what, count in soak.counts.items() if ":" in what)
            print("|", " | ".join(map(str, (minute, *measure(), sum(soak.counts.values()), failed))), "|", flush=True)
    proxy.clear()


def run(minutes, workers):
    """Run it; return what went wrong."""
    server = MotoServer()
    with tempfile.TemporaryDirectory() as directory, wire.FaultProxy(server.url) as proxy:
        giver, profile = Path(directory) / "give.py", Path(directory) / "config"
        giver.write_text(GIVER.format(access=server.access_key, secret=server.secret_key), encoding="utf-8")
        profile.write_text(f"[profile soak]\ncredential_process = {sys.executable} {giver}\n", encoding="utf-8")
        os.environ["AWS_CONFIG_FILE"] = str(profile)
        config = {"aws_profile": "soak", "s3_endpoint_url": proxy.url, "s3_preset": "minio", "read_timeout": 10}
        with CloudProviderFactory().create_provider("aws", config) as provider:
            soak = Soak(provider.storage.buckets.create("soak-bucket"), minutes * 60)
            threads = [threading.Thread(target=soak.work, args=(number,)) for number in range(workers)]
            for thread in threads:
                thread.start()
            disturb(proxy, soak)
            for thread in threads:
                thread.join()
            left = [upload.id for upload in soak.bucket.list_uploads()]
    server.stop()
    print(json.dumps(dict(sorted(soak.counts.items())), indent=1))
    print(f"unfinished uploads: {len(left)}; {dt.datetime.now(dt.UTC):%H:%M:%S}")
    return soak.wrong


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--workers", type=int, default=8)
    given = parser.parse_args()
    wrong = run(given.minutes, given.workers)
    print("\n".join(wrong) or "nothing went wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
