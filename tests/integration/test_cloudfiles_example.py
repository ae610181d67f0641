"""The workflow of backups in Cloud Files, as the documentation has it, on Cloud Files and on any other Swift."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from servers.openstack_harnesses import RackspaceHarness, SwiftHarness
from servers.rackspace import account_of

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "cloudfiles.py"


class LoneRackspaceHarness(RackspaceHarness):
    """Cloud Files, in a region where no other test has containers."""

    def credentials(self):
        return {**super().credentials(), "os_region_name": self.server.lone_region}

    def account(self):
        return f"/v1/{account_of(self.server.lone_region)}"


class LoneSwiftHarness(SwiftHarness):
    """Swift, and an account where no other test has containers."""

    def credentials(self):
        server = self.server
        return {**super().credentials(), "os_username": server.lone_user, "os_password": server.lone_password}

    def account(self):
        return f"/v1/AUTH_{self.server.lone_user.partition(':')[0]}"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("cloudfiles_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=[LoneRackspaceHarness, LoneSwiftHarness], ids=lambda kind: kind.__name__)
def harness(request, server, monkeypatch):
    with request.param(server(request.param.kind)) as harness:
        config = {"os_auth_url": harness.server.auth_url, **harness.credentials()}
        for name, value in config.items():
            if name.startswith("os_"):
                monkeypatch.setenv(name.upper(), value)
        yield harness


def test_the_whole_workflow(example, harness, tmp_path, capsys):
    name = harness.bucket_name()
    backups = {"db.dump": b"0123456789" * 20_000, "empty.log": b"", "naïve name?.txt": b"text"}
    for file, content in backups.items():
        (tmp_path / file).write_bytes(content)

    def run(*arguments):
        example.main(["--provider", harness.provider, *arguments])
        return capsys.readouterr().out

    files = [str(tmp_path / file) for file in backups]
    assert run("upload", name, *files).count("Uploading") == 3
    # What is there already is replaced, in the container that is there.
    assert run("upload", name, files[0]).count("Uploading") == 1
    listed = run("list")
    section = listed.removeprefix(f"\nOBJECTS FOR CONTAINER: {name}\n")
    assert [line.split(maxsplit=2)[2] for line in section.strip().splitlines()] == sorted(backups)
    assert "200,000" in section
    target = tmp_path / "restored"
    assert f"Retrieved 3 objects, {sum(map(len, backups.values())):,} bytes" in run("restore", name, str(target))
    assert {path.name: path.read_bytes() for path in target.iterdir()} == backups
    assert run("delete", name) == f"Deleting container {name}\n"
    with harness.make_provider() as provider:
        assert provider.storage.buckets.get(name) is None
    assert run("delete", name) == ""
    with pytest.raises(SystemExit, match=f"No container found with name {name}"):
        run("restore", name, str(target))


@pytest.mark.parametrize("harness", [RackspaceHarness], indirect=True)
def test_servicenet(example, harness):
    with example.connect("cloudfiles", service_net=True) as account:
        bucket = harness.make_bucket(account)
        assert account.session.driver.native.object_store.get_endpoint() == (
            f"{harness.server.internal_url}{harness.account()}"
        )
        harness.remove_bucket(bucket)


def test_what_is_wrong_is_said_in_a_line(example, harness, monkeypatch):
    monkeypatch.setenv("OS_API_KEY", "wrong")
    monkeypatch.setenv("OS_PASSWORD", "wrong")
    with pytest.raises(SystemExit) as caught:
        example.main(["--provider", harness.provider, "list"])
    assert "Check" in str(caught.value)
    assert "\n" not in str(caught.value)
