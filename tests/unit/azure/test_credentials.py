"""Who asks: which credentials count, and which contradict each other."""

import os
import subprocess
import sys
import time

import pytest

pytest.importorskip("azure.storage.blob")

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.drivers.azure.credentials import AccessToken, Credentials, GivenToken, TokenKeeper
from cloudbridge_store.errors import InvalidConfigurationException

KEY, OTHER = "YSBrZXk=", "b3RoZXI="
SAS = "sv=2021-12-02&sig=abc%3D"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=account1;AccountKey={OTHER};EndpointSuffix=core.windows.net"
PRINCIPAL = {"azure_client_id": "client", "azure_secret": "geheim", "azure_tenant": "tenant"}


def identity(**config):
    given = {"azure_storage_account": "account1", **config}
    return CloudProviderFactory().create_provider("azure", given).session.driver._service.identity


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"azure_storage_key": KEY}, "key"),
        ({"azure_connection_string": CONNECTION}, "key"),
        ({"azure_connection_string": f"AccountName=account1;SharedAccessSignature=?{SAS}"}, "sas"),
        ({"azure_sas_token": f"?{SAS}"}, "sas"),
        ({"azure_access_token": "ey.token"}, "token"),
        ({"azure_access_token": GivenToken("ey.token")}, "token"),
        ({"azure_anonymous": True}, "anonymous"),
    ],
)
def test_each_kind(config, kind):
    found = identity(**config)
    assert found.kind == kind
    assert "sig=" not in repr(found)
    assert found.sas in (None, SAS)


@pytest.mark.parametrize(
    ("ends", "ended"),
    [
        ("2001-01-01T00%3A00%3A00Z", True),
        ("2001-01-01", True),
        ("2001-01-01T00:00Z", True),
        ("2901-01-01T00:00:00Z", False),
        ("soon", False),
        ("", False),
    ],
)
def test_a_signature_says_when_it_ends(ends, ended):
    assert Credentials("sas", sas=f"sv=1&se={ends}&sig=x").has_ended() is ended
    assert Credentials("key", account_key=KEY).has_ended() is False


@pytest.mark.parametrize(
    ("config", "account"),
    [
        ({"azure_storage_key": KEY}, True),
        ({"azure_access_token": "t"}, True),
        ({"azure_sas_token": "sv=1&ss=b&srt=sco&sp=rwl&sig=x"}, True),
        ({"azure_sas_token": "sv=1&sr=c&sp=rwl&sig=x"}, False),
        ({"azure_anonymous": True}, False),
    ],
)
def test_what_belongs_to_the_account_is_not_promised_to_who_has_one_bucket(config, account):
    given = {"azure_storage_account": "account1", "azure_website_url": "https://web.example", **config}
    able = CloudProviderFactory().create_provider("azure", given).capabilities
    assert (able.website, bool(able.account_rules)) == (account, account)
    assert ("rules" in able.hints) == account
    assert "website" not in able.hints


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"azure_storage_key": KEY}, {"HEAD": "sign GET", "rules": "set_rules", "website": "azure_website_url"}),
        ({"azure_anonymous": True}, {"sign": "account's key", "public_access": "account's key"}),
        (
            {"azure_anonymous": True, "azure_endpoint_url": "http://127.0.0.1:9/account1", "allow_http": True},
            {"sign": "Entra ID", "public_access": "Entra ID", "customer": "https"},
        ),
    ],
)
def test_what_can_be_done_about_what_is_lacking(config, expected):
    hints = (
        CloudProviderFactory()
        .create_provider("azure", {"azure_storage_account": "account1", **config})
        .capabilities.hints
    )
    assert hints.keys() == expected.keys()
    for name, words in expected.items():
        assert words in hints[name]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"AZURE_STORAGE_CONNECTION_STRING": CONNECTION, "AZURE_STORAGE_KEY": KEY}, ("key", OTHER)),
        ({"AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_SAS_TOKEN": SAS, "AZURE_ACCESS_TOKEN": "t"}, ("key", KEY)),
        ({"AZURE_STORAGE_SAS_TOKEN": SAS, "AZURE_ACCESS_TOKEN": "t", "AZURE_ANONYMOUS": "true"}, ("sas", None)),
        ({"AZURE_STORAGE_ACCESS_TOKEN": "t", "AZURE_ANONYMOUS": "true"}, ("token", None)),
        ({"AZURE_ANONYMOUS": "true"}, ("anonymous", None)),
    ],
)
def test_order_within_the_environment(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = identity()
    assert (found.kind, found.account_key) == expected


def test_what_is_given_beats_the_environment(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", CONNECTION)
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    assert identity(azure_sas_token=SAS).kind == "sas"
    assert identity(azure_anonymous=True).kind == "anonymous"


def test_the_environment_names_the_account(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "account7")
    service = CloudProviderFactory().create_provider("azure", {"azure_storage_key": KEY}).session.driver._service
    assert (service.account, service.place.url) == ("account7", "https://account7.blob.core.windows.net")


@pytest.mark.parametrize(
    "config",
    [
        {"azure_storage_key": KEY, "azure_sas_token": SAS},
        {"azure_storage_key": KEY, "azure_connection_string": CONNECTION},
        {"azure_sas_token": SAS, "azure_access_token": "t"},
        {"azure_storage_key": KEY, "azure_anonymous": True},
        {"azure_storage_key": KEY, **PRINCIPAL},
    ],
)
def test_what_contradicts(config):
    with pytest.raises(InvalidConfigurationException, match="contradict") as caught:
        identity(**config)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"azure_storage_key": "not base64!"}, "base64"),
        ({"azure_sas_token": "nothing signed"}, "azure_sas_token"),
        ({"azure_access_token": 7}, "get_token"),
        ({"azure_secret": "geheim", "azure_client_id": "client"}, "come together"),
        ({"azure_connection_string": "nonsense"}, "azure_connection_string"),
        ({"azure_connection_string": CONNECTION, "azure_storage_account": "another"}, "another"),
    ],
)
def test_what_is_no_credential(config, said):
    with pytest.raises(InvalidConfigurationException, match=said) as caught:
        identity(**config)
    assert "geheim" not in str(caught.value)
    assert str(caught.value).count("azure_client_id") <= 1


def test_service_principal():
    from azure.identity import ClientSecretCredential

    found = identity(**PRINCIPAL)
    assert (found.kind, type(found.token)) == ("token", ClientSecretCredential)
    assert (found.token._tenant_id, found.token._client_id) == ("tenant", "client")
    assert "geheim" not in repr(found)
    # CloudBridge's configurations may have both; there the token counts too.
    assert isinstance(identity(azure_access_token="t", **PRINCIPAL).token, GivenToken)


@pytest.fixture
def made(monkeypatch):
    """What is asked of azure-identity, by the name of the class."""
    from azure import identity as azure_identity

    found = []
    for name in ("DefaultAzureCredential", "ClientSecretCredential"):

        def make(name=name, **named):
            found.append((name, named))
            return GivenToken("t")

        monkeypatch.setattr(azure_identity, name, make)
    return found


def test_the_chain_of_this_machine(made):
    assert identity().kind == "token"
    assert identity(azure_client_id="client").kind == "token"
    (_, nobody), (_, named) = made
    assert "managed_identity_client_id" not in nobody
    assert (named["managed_identity_client_id"], named["workload_identity_client_id"]) == ("client", "client")


@pytest.mark.parametrize("principal", [PRINCIPAL, {}], ids=["principal", "chain"])
@pytest.mark.parametrize(
    ("place", "authority"),
    [
        ({}, None),
        ({"azure_endpoint_suffix": "core.usgovcloudapi.net"}, "login.microsoftonline.us"),
        ({"azure_endpoint_url": "https://account1.blob.core.chinacloudapi.cn"}, "login.chinacloudapi.cn"),
        (
            {"azure_endpoint_url": "https://files.example", "azure_endpoint_suffix": "core.usgovcloudapi.net"},
            "login.microsoftonline.us",
        ),
    ],
)
def test_a_sovereign_cloud_has_an_authority_of_its_own(made, monkeypatch, principal, place, authority):
    identity(**principal, **place)
    assert made[-1][1].get("authority") == authority
    # The environment knows better; azure-identity reads it.
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "login.example")
    identity(**principal, **place)
    assert "authority" not in made[-1][1]


def test_tokens_come_over_connections_as_configured(made, tmp_path):
    more = {"connect_timeout": 2, "read_timeout": 7, "proxies": {"https": "http://proxy:1"}}
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    identity(**PRINCIPAL, **more, ca_bundle=str(bundle))
    identity(**PRINCIPAL, verify_tls=False)
    identity(**more)
    (_, principal), (_, unchecked), (name, chain) = made
    expected = {"connection_timeout": 2, "read_timeout": 7, "connection_verify": str(bundle), "retry_total": 0}
    assert expected.items() <= principal.items()
    assert principal["proxies"] == {"https": "http://proxy:1"}
    assert unchecked["connection_verify"] is False
    # The chain asks this machine's own neighbours too, which no proxy leads to.
    assert (name, "proxies" in chain, "retry_total" in chain) == ("DefaultAzureCredential", False, False)


def test_a_tenant_that_is_none():
    with pytest.raises(InvalidConfigurationException, match="azure_tenant") as caught:
        identity(**{**PRINCIPAL, "azure_tenant": "no tenant!"})
    assert "geheim" not in str(caught.value)


def test_what_finds_tokens_is_closed_unless_it_was_given():
    class Closing(GivenToken):
        closed = False

        def close(self):
            self.closed = True

    given, own = Closing("t"), Closing("t")
    Credentials("token", token=given).close()
    Credentials("token", token=own, owned=True).close()
    assert (given.closed, own.closed) == (False, True)
    assert identity(**PRINCIPAL).owned
    assert not identity(azure_access_token=given).owned


def test_without_azure_identity_the_message_says_what_to_install():
    program = (
        "import sys; sys.modules['azure.identity'] = None\n"
        "from cloudbridge_store import CloudProviderFactory as F\n"
        "from cloudbridge_store.errors import MissingDependencyError\n"
        "F().create_provider('azure', {'azure_storage_account': 'account1', 'azure_storage_key': 'YQ=='})\n"
        "try: F().create_provider('azure', {'azure_storage_account': 'account1'})\n"
        "except MissingDependencyError as error: print(error)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    assert "cloudbridge-store[azure]" in done.stdout


class Counting:
    def __init__(self, seconds):
        self.asked = []
        self.seconds = seconds

    def get_token(self, *scopes):
        self.asked.append(scopes)
        return AccessToken(f"t{len(self.asked)}", int(time.time()) + self.seconds)


def test_a_token_is_kept_while_it_is_good():
    credential = Counting(3600)
    keeper = TokenKeeper(credential)
    assert [keeper.get(), keeper.get()] == ["t1", "t1"]
    assert credential.asked == [("https://storage.azure.com/.default",)]
    assert keeper.renew()
    assert keeper.get() == "t2"
    assert "t2" not in repr(keeper.get())


def test_a_token_that_ends_soon_is_not_used():
    keeper = TokenKeeper(Counting(200))
    assert [keeper.get(), keeper.get()] == ["t1", "t2"]


def test_a_given_token_is_not_renewed():
    keeper = TokenKeeper(GivenToken("t"))
    assert keeper.renew() is False
    assert keeper.get() == "t"


def test_the_journal_knows_the_account_by_another_credential_of_its_class():
    places = []
    for account in ("account1", "account1", "account2"):
        config = {"azure_storage_account": account, "azure_access_token": Counting(3600)}
        journal = CloudProviderFactory().create_provider("azure", config).session.journal
        places.append(journal._identity)
    assert places[0] == places[1] != places[2]
