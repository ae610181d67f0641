"""The command line: every command, what it prints, and the code it ends with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("click", reason="the extra cli is not installed")

from click.testing import CliRunner

from cloudbridge_store import BucketService, CloudProviderFactory, errors
from cloudbridge_store.cli.application import application
from cloudbridge_store.cli.copying import Item, copy_items
from cloudbridge_store.cli.errors import exit_code
from cloudbridge_store.cli.filters import Filters, Rule
from cloudbridge_store.cli.locations import Local, Remote, Standard, parse
from cloudbridge_store.cli.progress import Meter, Stopped

MOST_MODULES = 220
COMMAND = (sys.executable, "-m", "cloudbridge_store.cli")
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from cloudbridge_store.cli import main; main()"
)
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def profiles(tmp_path, monkeypatch):
    """Two LOCAL profiles in a file of their own, and a home that is nobody's."""
    file = tmp_path / "profiles.toml"
    tables = (f'[profile.{name}]\nprovider = "local"\nlocal_root = "{tmp_path / name}"\n' for name in ("work", "other"))
    file.write_text("".join(tables), encoding="utf-8")
    for name in [name for name in os.environ if name.startswith(("CBS_", "LOCAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CBS_CONFIG", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    return file


@pytest.fixture
def work(tmp_path):
    """The bucket that ``cbs://work/bucket`` names, made."""
    with CloudProviderFactory().create_provider("local", {"local_root": str(tmp_path / "work")}) as provider:
        yield provider.storage.buckets.create("bucket")


@pytest.fixture
def tree(tmp_path):
    """A directory with files of three kinds."""
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.md"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path / "tree"


def run(*args, stdin=None):
    return CliRunner().invoke(application, [str(each) for each in args], input=stdin)


def succeed(*args, stdin=None):
    result = run(*args, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result


def fail(code, *args):
    result = run(*args)
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    return result.stderr


def records(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def keys(bucket):
    return [obj.name for obj in bucket.objects]


def start(*args):
    """Start the command so that Ctrl-C is at work, also where the tests run in a background that ignores it."""
    command = [sys.executable, "-c", INTERRUPTIBLE, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# Locations


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("cbs://", Remote()),
        ("cbs://p", Remote("p")),
        ("cbs://p/", Remote("p")),
        ("cbs://p/b", Remote("p", "b")),
        ("cbs://p/b/", Remote("p", "b")),
        ("cbs:///p/b/k", Remote("p", "b", "k")),
        ("cbs://p/b//k/", Remote("p", "b", "/k/")),
        ("cbs://p/b/a%20b?c#d", Remote("p", "b", "a%20b?c#d")),
        ("-", Standard()),
        ("a:b", Local("a:b")),
        ("./s3://x", Local("./s3://x")),
    ],
)
def test_locations_are_taken_literally(text, location):
    assert parse(text) == location


@pytest.mark.parametrize("text", ["", "s3://bucket/key", "cbs:/p/b/k", "cbs:////b", "cbs://p//k", "file:///x"])
def test_what_only_looks_like_a_location_is_refused(text):
    assert "Invalid value" in fail(2, "cp", text, "x")


# Profiles


def test_profiles_are_listed_with_those_that_need_no_file():
    found = {record["profile"]: (record["provider"], record["built_in"]) for record in records(succeed("ls", "--json"))}
    assert found["work"] == ("local", False)
    assert found["local"] == ("local", True)
    assert found["memory"] == ("memory", True)


def test_an_unknown_profile_has_the_nearest():
    assert "did you mean 'work'?" in fail(2, "ls", "cbs://wrok")
    assert "did you mean 'work'?" in fail(2, "--config", "wrok:local_root=/x", "ls", "cbs://other")


def test_a_broken_profile_file_is_said(profiles):
    profiles.write_text("[profile.work\n", encoding="utf-8")
    assert str(profiles) in fail(2, "ls", "cbs://work")


def test_the_url_names_the_place_whatever_the_environment_says(work, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_ROOT", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("CBS_PROFILE", "other")
    assert succeed("ls", "cbs://work").stdout == "bucket\n"


def test_config_overrides_the_profile_before_and_behind_the_command(work, tmp_path):
    place = f"local_root={tmp_path / 'third'}"
    assert succeed("--config", place, "ls", "cbs://work").stdout == ""
    assert succeed("ls", "cbs://work", "--config", f"work:{place}").stdout == ""
    assert succeed("ls", "cbs://work", "--config", f"other:{place}").stdout == "bucket\n"
    assert "did you mean 'local_root'?" in fail(2, "ls", "cbs://work", "--config", "local_rot=x")
    fail(2, "ls", "cbs://work", "--config", "local_root")


def test_providers_say_what_they_can():
    found = {record["name"]: record for record in records(succeed("providers", "--json"))}
    assert found["local"]["installed"]
    assert found["local"]["capabilities"]["multipart"] is True
    assert "conditional_put" in succeed("providers").stdout


def test_a_missing_sdk_names_its_extra(monkeypatch):
    def create(self, name, config=()):
        message = "provider x needs boto3, which is not installed: pip install 'cloudbridge-store[aws]'"
        raise errors.MissingDependencyError(message)

    monkeypatch.setattr(CloudProviderFactory, "create_provider", create)
    record = records(succeed("providers", "--json"))[0]
    assert (record["installed"], record["extra"], record["capabilities"]) == (False, "aws", None)
    fail(2, "ls", "cbs://work")


# Buckets


def test_buckets_are_made_listed_and_removed():
    assert succeed("mb", "cbs://work/one", "cbs://work/two").stdout == "cbs://work/one\ncbs://work/two\n"
    assert succeed("ls", "cbs://work/").stdout == "one\ntwo\n"
    assert succeed("ls", "-l", "cbs://work").stdout.splitlines()[0].endswith("  one")
    fail(6, "mb", "cbs://work/one")
    fail(2, "mb", "cbs://work/Not_A_Name")
    fail(2, "mb", "cbs://work/one/key")
    succeed("rb", "cbs://work/one")
    fail(3, "rb", "cbs://work/one")


def test_a_bucket_with_objects_is_removed_by_force_only(work):
    work.objects.create("k").upload("x")
    fail(6, "rb", "cbs://work/bucket")
    succeed("rb", "--force", "cbs://work/bucket")
    assert not work.exists


# ls and stat


def test_one_level_and_all(work):
    for key in ("a", "d/1", "d/e/2", "\u00e9", "z"):
        work.objects.create(key).upload(key)
    assert succeed("ls", "cbs://work/bucket").stdout.splitlines() == ["a", "d/", "z", "\u00e9"]
    assert succeed("ls", "cbs://work/bucket/d/").stdout.splitlines() == ["d/1", "d/e/"]
    assert succeed("ls", "-r", "cbs://work/bucket/d").stdout.splitlines() == ["d/1", "d/e/2"]
    listed = records(succeed("ls", "--json", "cbs:///work/bucket"))
    assert listed[0]["url"] == "cbs://work/bucket/a"
    assert listed[0]["size"] == 1
    assert listed[0]["last_modified"].endswith("+00:00")
    assert listed[1] == {"url": "cbs://work/bucket/d/", "prefix": "d/", "bucket": "bucket"}


def test_sizes_for_people(work):
    work.objects.create("k").upload(b"x" * 1536)
    assert succeed("ls", "-l", "cbs://work/bucket").stdout.split()[0] == "1536"
    assert succeed("ls", "-lh", "cbs://work/bucket").stdout.split()[:2] == ["1.5", "KiB"]


def test_levels_of_many_pages_are_in_order(work):
    names = sorted(f"{number:04}{'/x' if number % 2 else ''}" for number in range(1100))
    work.objects.upload_many((name, b"") for name in names)
    expected = [f"{name.partition('/')[0]}/" if "/" in name else name for name in names]
    assert succeed("ls", "cbs://work/bucket").stdout.splitlines() == expected


def test_nothing_found_is_told_apart_from_nothing_there(work):
    assert succeed("ls", "cbs://work/bucket").stdout == ""
    fail(3, "ls", "cbs://work/bucket/none")
    fail(3, "ls", "cbs://work/no-such-bucket")


def test_stat_describes(work):
    work.objects.create("k").upload("text", content_type="text/x-mine", metadata={"colour": "blue"})
    (record,) = records(succeed("stat", "--json", "cbs://work/bucket/k"))
    assert record["size"] == 4
    assert record["content_type"] == "text/x-mine"
    assert record["metadata"] == {"colour": "blue"}
    assert "colour=blue" in succeed("stat", "cbs://work/bucket/k").stdout
    assert records(succeed("stat", "--json", "cbs://work/bucket"))[0]["name"] == "bucket"
    fail(3, "stat", "cbs://work/bucket/none")
    fail(3, "stat", "cbs://work/no-such-bucket")


# cp


def test_a_file_goes_up_and_comes_back(work, tree, tmp_path):
    succeed("cp", tree / "a.txt", "cbs://work/bucket")
    succeed("cp", tree / "a.txt", "cbs://work/bucket/x/")
    succeed("cp", tree / "a.txt", "cbs://work/bucket/renamed")
    assert keys(work) == ["a.txt", "renamed", "x/a.txt"]
    succeed("cp", "cbs://work/bucket/x/a.txt", tmp_path / "back")
    succeed("cp", "cbs://work/bucket/x/a.txt", f"{tmp_path / 'new'}/")
    assert (tmp_path / "back").read_text(encoding="utf-8") == "a.txt"
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "a.txt"


def test_what_describes_an_object_is_stored_and_goes_along(work, tree, tmp_path):
    given = ("--content-type", "text/x-mine", "--metadata", "a=1", "--metadata", "b=2=2")
    succeed("cp", tree / "a.txt", "cbs://work/bucket/k", *given)
    succeed("mb", "cbs://other/bucket")
    succeed("cp", "cbs://work/bucket/k", "cbs://other/bucket/far")
    succeed("cp", "cbs://work/bucket/k", "cbs://work/bucket/near")
    succeed("cp", "cbs://work/bucket/k", "cbs://work/bucket/changed", "--metadata", "c=3")
    (far,) = records(succeed("stat", "--json", "cbs://other/bucket/far"))
    assert (far["content_type"], far["metadata"]) == ("text/x-mine", {"a": "1", "b": "2=2"})
    assert work.objects.get("near").metadata == {"a": "1", "b": "2=2"}
    changed = work.objects.get("changed")
    assert (changed.content_type, changed.metadata) == ("text/x-mine", {"c": "3"})
    fail(6, "cp", tree / "a.txt", "cbs://work/bucket/k", "--storage-class", "COLD")
    fail(2, "cp", tree / "a.txt", "cbs://work/bucket/k", "--metadata", "a")
    fail(2, "cp", "cbs://work/bucket/k", tmp_path / "x", "--content-type", "text/plain")


def test_standard_input_and_output(work):
    data = bytes(range(256)) * 8
    result = succeed("cp", "-", "cbs://work/bucket/piped", "--json", stdin=data)
    assert records(result)[0]["bytes"] == len(data)
    assert succeed("cp", "cbs://work/bucket/piped", "-").stdout_bytes == data
    assert succeed("cat", "cbs://work/bucket/piped", "cbs://work/bucket/piped").stdout_bytes == 2 * data
    assert succeed("cat", "--range", "10:5", "cbs://work/bucket/piped").stdout_bytes == data[10:15]
    assert succeed("cat", "--range", "2000:", "cbs://work/bucket/piped").stdout_bytes == data[2000:]
    fail(2, "cat", "--range", "5-10", "cbs://work/bucket/piped")
    fail(2, "cp", "-", "cbs://work/bucket/")
    fail(2, "cp", "-", "-")
    fail(3, "cat", "cbs://work/bucket/none")


def test_a_directory_goes_up_across_and_down(work, tree, tmp_path):
    assert "3 copied" in succeed("cp", "-r", tree, "cbs://work/bucket/t").stderr
    assert keys(work) == ["t/a.txt", "t/sub/b.txt", "t/sub/deep/c.md"]
    succeed("cp", "-r", "cbs://work/bucket/t", "cbs://work/bucket/u/")
    succeed("mb", "cbs://other/bucket")
    succeed("cp", "-r", "-j", "2", "cbs://work/bucket/u", "cbs://other/bucket")
    (record,) = records(succeed("cp", "-r", "--json", "cbs://other/bucket", tmp_path / "back"))
    assert (record["transferred"], record["failures"], record["skipped"]) == (3, {}, {})
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.md"):
        assert (tmp_path / "back" / name).read_text(encoding="utf-8") == name
    fail(3, "cp", "-r", "cbs://work/bucket/none", tmp_path / "x")
    fail(2, "cp", "-r", tree, tmp_path / "x")
    assert "cp -r" in fail(2, "cp", tree, "cbs://work/bucket")


def test_a_prefix_is_a_directory_to_recursion(work, tmp_path):
    work.objects.upload_many({"log/1": "", "logs/2": ""})
    succeed("cp", "-r", "cbs://work/bucket/log", tmp_path / "back")
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["1"]
    succeed("rm", "-r", "cbs://work/bucket/log")
    assert keys(work) == ["logs/2"]


def test_filters_up_and_down(work, tree, tmp_path):
    succeed("cp", "-r", tree, "cbs://work/bucket", "--exclude", "*", "--include", "*.txt", "--exclude", "sub/*")
    assert keys(work) == ["a.txt"]
    succeed("cp", "-r", tree, "cbs://work/bucket", "--exclude", "sub/*", "--include", "*.md")
    assert keys(work) == ["a.txt", "sub/deep/c.md"]
    succeed("cp", "-r", "cbs://work/bucket", tmp_path / "back", "--include", "*.md")
    assert [path.name for path in (tmp_path / "back").rglob("*.*")] == ["c.md"]
    succeed(
        "cp", "-r", "cbs://work/bucket", tmp_path / "other", "--exclude", "*", "--include", "*a*", "--exclude", "sub/*"
    )
    assert [path.name for path in (tmp_path / "other").rglob("*.*")] == ["a.txt"]


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ("", "abc"),
        ("-a", "bc"),
        ("+a", "a"),
        ("-* +a", "a"),
        ("-* +a -a", ""),
        ("+a -a", ""),
        ("-a +a", "abc"),
        ("-*", ""),
    ],
)
def test_the_last_rule_that_fits_decides(rules, taken):
    filters = Filters([Rule("include" if rule[0] == "+" else "exclude", rule[1:]) for rule in rules.split()])
    assert "".join(name for name in "abc" if name in filters) == taken


def test_several_sources_need_a_directory(work, tree):
    fail(2, "cp", tree / "a.txt", tree / "sub/b.txt", "cbs://work/bucket/one")
    succeed("cp", tree / "a.txt", tree / "sub/b.txt", "cbs://work/bucket/many/")
    assert keys(work) == ["many/a.txt", "many/b.txt"]


def test_some_failures_are_told_and_the_others_go_on(work, tree):
    result = run("cp", tree / "a.txt", tree / "none", tree / "sub/b.txt", "cbs://work/bucket")
    assert result.exit_code == 1
    assert "none" in result.stderr
    assert keys(work) == ["a.txt", "b.txt"]


def test_one_name_is_not_written_twice(work, tree):
    (tree / "sub/a.txt").write_text("other", encoding="utf-8")
    assert run("cp", tree / "a.txt", tree / "sub/a.txt", "cbs://work/bucket").exit_code == 1
    assert work.objects.get("a.txt").content() == b"a.txt"


def test_links_are_not_followed_and_not_forgotten(work, tree):
    (tree / "link").symlink_to("/etc/hostname")
    assert "symbolic link" in fail(1, "cp", "-r", tree, "cbs://work/bucket")
    assert keys(work) == ["a.txt", "sub/b.txt", "sub/deep/c.md"]


def test_a_download_does_not_leave_its_directory_through_a_link(work, tmp_path):
    work.objects.upload_many({"out/evil": "x", "fine": "y"})
    (tmp_path / "outside").mkdir()
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "out").symlink_to(tmp_path / "outside")
    assert "out/evil" in fail(1, "cp", "-r", "cbs://work/bucket", tmp_path / "back")
    assert list((tmp_path / "outside").iterdir()) == []
    assert (tmp_path / "back" / "fine").read_text(encoding="utf-8") == "y"


def test_no_clobber_leaves_what_is_there(work, tree, tmp_path):
    work.objects.create("a.txt").upload("old")
    assert "left as it is" in succeed("cp", "--no-clobber", tree / "a.txt", "cbs://work/bucket").stderr
    assert work.objects.get("a.txt").content() == b"old"
    (record,) = records(succeed("cp", "-r", "--no-clobber", "--json", tree, "cbs://work/bucket"))
    assert (record["transferred"], record["existing"]) == (2, ["cbs://work/bucket/a.txt"])
    (tmp_path / "kept").write_text("kept", encoding="utf-8")
    succeed("cp", "--no-clobber", "cbs://work/bucket/a.txt", tmp_path / "kept")
    assert (tmp_path / "kept").read_text(encoding="utf-8") == "kept"
    succeed("cp", "-r", "cbs://work/bucket", tmp_path / "back")
    (record,) = records(succeed("cp", "-r", "--no-clobber", "--json", "cbs://work/bucket", tmp_path / "back"))
    assert (record["transferred"], len(record["existing"]), record["failures"]) == (0, 3, {})


def test_a_dry_run_changes_nothing(work, tree, tmp_path):
    shown = succeed("cp", "-n", "-r", tree, "cbs://work/bucket/t").stdout.splitlines()
    assert shown[0] == f"copy {tree}/a.txt -> cbs://work/bucket/t/a.txt"
    assert len(shown) == 3
    assert keys(work) == []
    work.objects.create("k").upload("x")
    assert records(succeed("cp", "-n", "--json", "cbs://work/bucket/k", tmp_path / "k"))[0]["dry_run"]
    succeed("cp", "-n", "-r", "cbs://work/bucket", tmp_path / "back")
    assert not (tmp_path / "k").exists()
    assert not (tmp_path / "back").exists()


def test_sizes_and_numbers_are_checked(tree):
    fail(2, "cp", tree / "a.txt", "cbs://work/bucket", "--part-size", "many")
    fail(2, "cp", tree / "a.txt", "cbs://work/bucket", "--part-size", "0")
    fail(2, "cp", tree / "a.txt", "cbs://work/bucket", "-j", "0")
    fail(2, "cp", tree / "a.txt")


def test_large_files_pass_in_parts(work, tmp_path):
    data = os.urandom(6 * 2**20)
    (tmp_path / "large").write_bytes(data)
    config = ("--config", "multipart_threshold=5242880")
    succeed("cp", "--part-size", "5MiB", "-j", "2", *config, tmp_path / "large", "cbs://work/bucket")
    succeed("cp", "--part-size", "5M", *config, "cbs://work/bucket/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


# rm


def test_objects_are_deleted(work):
    work.objects.upload_many(dict.fromkeys(("a", "d", "d/1", "d/2.txt", "e"), ""))
    succeed("rm", "cbs://work/bucket/a")
    fail(3, "rm", "cbs://work/bucket/a")
    succeed("rm", "-f", "cbs://work/bucket/a")
    assert succeed("rm", "-rn", "cbs://work/bucket/d").stdout.splitlines() == [
        f"delete cbs://work/bucket/{key}" for key in ("d", "d/1", "d/2.txt")
    ]
    succeed("rm", "-r", "cbs://work/bucket/d", "--include", "*.txt")
    assert keys(work) == ["d", "d/1", "e"]
    assert records(succeed("rm", "-r", "--json", "cbs://work/bucket/d"))[0]["deleted"] == 2
    assert "rm -r" in fail(2, "rm", "cbs://work/bucket")
    result = run("rm", "cbs://work/bucket/none", "cbs://work/bucket/e")
    assert (result.exit_code, keys(work)) == (1, [])
    fail(3, "rm", "-r", "cbs://work/bucket")
    succeed("rm", "-rf", "cbs://work/bucket")


def test_refused_deletions_are_told(work, monkeypatch):
    work.objects.upload_many({"a": "", "b": ""})
    refusal = errors.PermissionDeniedError("not yours", key="b")

    def delete_many(self, objects):
        list(objects)
        raise errors.TransferError("1 of 2", failures={"b": refusal})

    monkeypatch.setattr(type(work.objects), "delete_many", delete_many)
    result = run("rm", "-r", "--json", "cbs://work/bucket")
    assert (result.exit_code, records(result)[0]["deleted"]) == (1, 1)
    assert "not yours" in result.stderr


# presign and serve


def test_a_url_of_a_directory_needs_a_server(work):
    assert "cloudbridge-store serve work" in fail(2, "presign", "cbs://work/bucket/k")
    base = ("--base-url", "http://127.0.0.1:9")
    assert succeed("presign", *base, "cbs://work/bucket/k").stdout.startswith("http://127.0.0.1:9/bucket/k?")
    assert "utf-8" in succeed("presign", *base, "--filename", "\u00fc", "cbs://work/bucket/k").stdout.lower()
    (record,) = records(succeed("presign", "--json", "--put", "--content-type", "a/b", *base, "cbs://work/bucket/k"))
    assert (record["method"], record["headers"], record["expires_in"]) == ("PUT", {"Content-Type": "a/b"}, 3600)
    assert (
        records(succeed("presign", "--json", "--expires", "90m", *base, "cbs://work/bucket/k"))[0]["expires_in"] == 5400
    )
    fail(2, "presign", *base, "--expires", "soon", "cbs://work/bucket/k")
    fail(2, "presign", *base, "--expires", "8d", "cbs://work/bucket/k")
    fail(2, "presign", *base, "--put", "--filename", "x", "cbs://work/bucket/k")
    fail(2, "presign", "cbs://work/bucket")


def test_only_directories_are_served_and_only_here():
    fail(2, "serve", "memory")
    fail(2, "serve", "no-such-profile")
    assert "--allow-remote" in fail(2, "serve", "work", "--host", "0.0.0.0")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_served_urls_answer_until_the_server_is_stopped(work, number, code):
    work.objects.create("k").upload("content")
    with start("serve", "work", "--port", "0") as server:
        try:
            base = server.stdout.readline().decode().strip()
            url = succeed("presign", "--base-url", base, "cbs://work/bucket/k").stdout.strip()
            with urlopen(url, timeout=10) as answer:
                assert answer.read() == b"content"
            with pytest.raises(HTTPError) as refused, urlopen(url.replace("/k?", "/l?"), timeout=10):
                pass
            refused.value.close()
            assert refused.value.code == 403
            writable = succeed("presign", "--put", "--base-url", base, "cbs://work/bucket/put").stdout.strip()
            with urlopen(Request(writable, b"new", method="PUT", headers={"Content-Type": ""}), timeout=10) as answer:
                assert answer.status < 300
        finally:
            server.send_signal(number)
        assert server.wait(timeout=20) == code
    assert work.objects.get("put").content() == b"new"


# How it ends


def test_ctrl_c_leaves_nothing_half_written(work, tmp_path):
    work.objects.create("k").upload("old")
    with start("cp", "-", "cbs://work/bucket/k", "--part-size", "5MiB") as copy:
        # More than a pipe and five parts hold: once it is written, the first parts are stored or on their way.
        copy.stdin.write(bytes(40 * 2**20))
        copy.stdin.flush()
        copy.send_signal(signal.SIGINT)
        code = copy.wait(timeout=20)
        said = copy.stderr.read().decode()
    assert code == 130, said
    assert "Traceback" not in said
    assert work.objects.get("k").content() == b"old"
    assert list(work.list_uploads()) == []
    staged = [path.name for path in (tmp_path / "work" / ".cbs" / "staging").rglob("*") if path.is_file()]
    assert staged in ([], ["lock"])  # this very process holds one


def test_an_interrupt_stops_the_copies_under_way():
    under_way, ended = threading.Event(), threading.Event()

    def copy(meter: Meter) -> int:
        under_way.set()
        try:
            while True:
                meter.check()
        except Stopped:
            ended.set()
            raise

    def items():
        yield Item("a", "b", None, copy)
        under_way.wait()
        raise KeyboardInterrupt

    with Meter(shown=False) as meter, pytest.raises(KeyboardInterrupt):
        copy_items(items(), 1, meter)
    assert ended.is_set()


def test_a_reader_that_goes_away_is_no_error(work):
    work.objects.create("k").upload(bytes(2**22))
    with start("cat", "cbs://work/bucket/k") as cat:
        assert cat.stdout.read(10) == bytes(10)
        cat.stdout.close()
        assert cat.wait(timeout=20) == 141
        assert cat.stderr.read() == b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidConfigurationException("x"), 2),
        (errors.InvalidLabelException("x"), 2),
        (errors.InvalidValueException("x", 1), 2),
        (errors.ObjectNotFoundError("x"), 3),
        (errors.LocalFileNotFoundError("x"), 3),
        (errors.AuthenticationError("x"), 4),
        (errors.PermissionDeniedError("x"), 4),
        (errors.LocalIOError("x", errno=13), 4),
        (errors.ServiceUnavailableError("x"), 5),
        (errors.ThrottledError("x"), 5),
        (errors.ConnectionFailedError("x"), 5),
        (errors.OperationTimeoutError("x"), 5),
        (errors.UnsupportedOperationError("x"), 6),
        (errors.IntegrityError("x"), 6),
        (RuntimeError("x"), 6),
    ],
)
def test_each_error_has_its_code(error, code, monkeypatch):
    def fails(self, **arguments):
        raise error

    monkeypatch.setattr(BucketService, "create", lambda self, name, location: fails(self))
    assert exit_code(error) == code
    assert "x" in fail(code, "mb", "cbs://work/bucket")


def test_errors_are_one_line_unless_debugged(work):
    message = fail(2, "stat", "cbs://work/bucket/a\nb")
    assert message.count("\n") == 1
    result = run("--debug", "stat", "cbs://work/bucket/none")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_hostile_names_do_not_reach_the_terminal(work, tmp_path):
    name = "esc\x1b[31m.txt"
    (tmp_path / name).write_text("x", encoding="utf-8")
    assert "\x1b" not in fail(2, "cp", tmp_path / name, "cbs://work/bucket")


def test_usage():
    assert run().exit_code == 2
    fail(2, "no-such-command")
    fail(2, "ls", "--no-such-option")
    assert "Exit codes" in succeed("--help").stdout
    assert succeed("--version").stdout.startswith("cloudbridge-store, version ")


def test_verbose_logs_requests(work):
    assert "list_objects" in succeed("-v", "ls", "cbs://work/bucket").stderr
    assert "list_objects" not in succeed("ls", "cbs://work/bucket").stderr


def test_help_needs_little():
    # What takes the time: seconds say more of the machine that a test runs on.
    listing = (
        "import sys; had = {*sys.modules}; from cloudbridge_store.cli import main\n"
        "sys.argv[1:] = ['--help']\n"
        "try: main()\n"
        "except SystemExit: print(*{*sys.modules} - had, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True, text=True)
    loaded = set(done.stderr.split())
    assert not {"tqdm", "tenacity", "platformdirs", "urllib.request"} & loaded
    assert len(loaded) < MOST_MODULES


def test_without_click_it_says_what_to_install():
    code = "import sys; sys.modules['click'] = None; from cloudbridge_store.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert "pip install 'cloudbridge-store[cli]'" in result.stderr


# Completion


def complete(line):
    """Ask as the completion script for bash does."""
    environment = {
        **os.environ,
        "_CLOUDBRIDGE_STORE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"cloudbridge-store {line}",
        "COMP_CWORD": "1",
        "CBS_WORDBREAKS": " :=",
    }
    result = subprocess.run(COMMAND, check=True, capture_output=True, text=True, env=environment)
    return [tuple(each.split(",", 1)) for each in result.stdout.splitlines() if each]


def test_urls_are_completed_behind_the_colon(work):
    work.objects.upload_many({"dir/x": "", "dir/a b": "", "dog": ""})
    assert ("part", "//work/") in complete("ls cbs://")
    assert complete("ls cbs://wo") == [("part", "//work/")]
    assert complete("ls cbs://work/b") == [("part", "//work/bucket/")]
    assert complete("stat cbs://work/bucket/d") == [("part", "//work/bucket/dir/"), ("plain", "//work/bucket/dog")]
    assert complete("cp cbs://work/bucket/dir/a") == [("plain", "//work/bucket/dir/a\\ b")]
    assert complete("cp cbs://no-such-profile/b") == []
    assert ("file", "x") in complete("cp x")
    assert complete("ls c") == [("part", "cbs://")]


def test_the_script_for_bash_is_valid():
    environment = {**os.environ, "_CLOUDBRIDGE_STORE_COMPLETE": "bash_source"}
    script = subprocess.run(COMMAND, check=True, capture_output=True, text=True, env=environment).stdout
    checked = subprocess.run(["bash", "-n"], input=script, check=True, capture_output=True, text=True)
    assert (checked.stdout, checked.stderr) == ("", "")
    assert "COMP_LINE" in script
