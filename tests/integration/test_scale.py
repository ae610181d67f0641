"""Much data in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from servers.memory import PEAK

LARGE = """
import json, sys
from pathlib import Path
from cloudbridge_store import CloudProviderFactory, TransferConfig

root, config = Path(sys.argv[1]), TransferConfig(**json.loads(sys.argv[2]))
source = root / "source"
block = bytes(range(256)) * 4096
with source.open("wb") as file:
    for number in range(1024):
        file.write(number.to_bytes(8, "big") + block[8:])
provider = CloudProviderFactory().create_provider("local", {"local_root": root / "store", "local_fsync": False})
obj = provider.storage.buckets.create("large").objects.create("a/large.bin")
if sys.argv[3] == "file":
    obj.upload_from_file(source, config)
else:
    with source.open("rb", buffering=0) as file:
        obj.upload(iter(lambda: file.read(1 << 20), b""), config)
source.unlink()
obj.download_to_file(root / "target", config)
with (root / "target").open("rb") as file:
    right = all(file.read(1 << 20) == number.to_bytes(8, "big") + block[8:] for number in range(1024))
print(json.dumps({"right": right, "size": obj.size, "peak": peak()}))
"""

MANY = """
import json, sys
from cloudbridge_store import CloudProviderFactory

provider = CloudProviderFactory().create_provider("local", {"local_root": sys.argv[1], "local_fsync": False})
bucket = provider.storage.buckets.create("many")
count = int(sys.argv[2])
for number in range(count):
    bucket.objects.create(f"object-{number:06}").upload(b"")
first = bucket.objects.list(limit=1000)
before = peak()
found, page = len(first), first
ordered = True
while page.is_truncated:
    last = page[-1].name
    page = bucket.objects.list(limit=1000, marker=page.marker)
    ordered = ordered and last < page[0].name
    found += len(page)
iterated = sum(1 for _ in bucket.objects)
print(json.dumps({"found": found, "iterated": iterated, "ordered": ordered, "grown": peak() - before}))
"""


def run(script, *arguments):
    command = [sys.executable, "-c", PEAK + script, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("config", "how"),
    [
        ({}, "file"),
        ({"threshold": 2**20, "part_size": 2**24, "max_concurrency": 4}, "file"),
        ({"part_size": 2**23}, "stream"),
    ],
    ids=["one request", "parts and ranges", "a stream of unknown length"],
)
def test_a_gibibyte_goes_up_and_down_in_less_than_120_mib(tmp_path, config, how):
    outcome = run(LARGE, tmp_path, json.dumps(config), how)
    assert outcome["right"]
    assert outcome["size"] == 2**30
    assert outcome["peak"] < 120


@pytest.mark.timeout(300)
def test_a_hundred_thousand_objects_are_listed_in_flat_memory(tmp_path):
    outcome = run(MANY, tmp_path, 100_000)
    assert (outcome["found"], outcome["iterated"], outcome["ordered"]) == (100_000, 100_000, True)
    # The names of one directory are held sorted; a page's objects come and go.
    assert outcome["grown"] < 16
