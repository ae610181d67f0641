"""Where an account is."""

import pytest

pytest.importorskip("azure.storage.blob")

from cloudbridge_store import CloudProviderFactory
from cloudbridge_store.errors import InvalidConfigurationException

EMULATOR = "http://127.0.0.1:10000/devstoreaccount1"


@pytest.mark.parametrize(
    ("config", "account", "url"),
    [
        ({}, "account1", "https://account1.blob.core.windows.net"),
        ({"azure_endpoint_suffix": "core.chinacloudapi.cn"}, "account1", "https://account1.blob.core.chinacloudapi.cn"),
        ({"azure_endpoint_url": "https://files.example.com"}, "account1", "https://files.example.com"),
        ({"azure_endpoint_url": "http://127.0.0.1:10000"}, "account1", "http://127.0.0.1:10000/account1"),
        ({"azure_endpoint_url": "http://localhost:10000/account1/"}, "account1", "http://localhost:10000/account1"),
        ({"azure_connection_string": "UseDevelopmentStorage=true"}, "devstoreaccount1", EMULATOR),
        (
            {
                "azure_connection_string": "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://emulator",
                "allow_http": True,
            },
            "devstoreaccount1",
            "http://emulator:10000/devstoreaccount1",
        ),
        (
            {"azure_connection_string": "AccountName=acc2;AccountKey=YQ==;EndpointSuffix=core.usgovcloudapi.net"},
            "acc2",
            "https://acc2.blob.core.usgovcloudapi.net",
        ),
        (
            {"azure_connection_string": "BlobEndpoint=https://acc3.blob.core.windows.net/;SharedAccessSignature=sig=x"},
            "acc3",
            "https://acc3.blob.core.windows.net",
        ),
        (
            {"azure_connection_string": "BlobEndpoint=https://acc4.z6.blob.storage.azure.net;AccountKey=YQ=="},
            "acc4",
            "https://acc4.z6.blob.storage.azure.net",
        ),
    ],
)
def test_place(make, config, account, url):
    service = make(**config)._service
    assert (service.account, service.place.url) == (account, url)
    assert service.client.account_name == account
    assert service.client.url.rstrip("/").startswith(url)


IN_ONE = "AccountName=env1;AccountKey=YQ==;BlobEndpoint=https://env1.blob.core.windows.net"
WHOLE = {"azure_storage_account": "given1", "azure_storage_key": "YQ=="}
ADDRESSED = {"azure_endpoint_url": "https://given1.blob.core.windows.net", "azure_storage_key": "YQ=="}
GIVEN = ("given1", "https://given1.blob.core.windows.net")


@pytest.mark.parametrize(
    ("variables", "given", "expected"),
    [
        ({"CONNECTION_STRING": IN_ONE}, WHOLE, GIVEN),
        ({"CONNECTION_STRING": IN_ONE}, {"azure_storage_account": "given1", "azure_sas_token": "sig=x"}, GIVEN),
        ({"CONNECTION_STRING": IN_ONE}, {"azure_storage_account": "given1", "azure_anonymous": True}, GIVEN),
        ({"CONNECTION_STRING": IN_ONE}, ADDRESSED, GIVEN),
        ({"CONNECTION_STRING": "BlobEndpoint=https://env1.blob.core.windows.net"}, WHOLE, GIVEN),
        ({"SERVICE_ENDPOINT": "https://env1.blob.core.windows.net"}, WHOLE, GIVEN),
        ({"ACCOUNT": "env1"}, ADDRESSED, GIVEN),
        ({"ACCOUNT": "env1"}, {"azure_connection_string": "AccountName=given1;AccountKey=YQ=="}, GIVEN),
        (
            {"SERVICE_ENDPOINT": "https://env1.blob.core.windows.net"},
            {"azure_connection_string": "AccountName=given1;AccountKey=YQ=="},
            GIVEN,
        ),
        # What is nearer need not name an account, and is completed.
        ({"CONNECTION_STRING": IN_ONE}, {"azure_storage_key": "Yg=="}, ("env1", "https://env1.blob.core.windows.net")),
        (
            {"CONNECTION_STRING": IN_ONE},
            {"azure_endpoint_url": "https://files.example.com"},
            ("env1", "https://files.example.com"),
        ),
        (
            {"SERVICE_ENDPOINT": "https://files.example.com"},
            {"azure_connection_string": IN_ONE},
            ("env1", "https://env1.blob.core.windows.net"),
        ),
    ],
)
def test_the_nearest_source_names_the_account(monkeypatch, variables, given, expected):
    """Else one account's signature would go to another."""
    for name, value in variables.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    service = CloudProviderFactory().create_provider("azure", given).session.driver._service
    assert (service.account, service.place.url) == expected


@pytest.mark.parametrize(
    "given",
    [{"azure_storage_account": "given1"}, {"azure_endpoint_url": "https://given1.blob.core.windows.net"}],
)
def test_the_key_of_one_account_is_not_used_for_another(monkeypatch, given):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", IN_ONE)
    with pytest.raises(InvalidConfigurationException, match="for given1, and azure_connection_string for env1"):
        CloudProviderFactory().create_provider("azure", given)


def test_the_account_of_a_private_link(make):
    service = make(azure_storage_account=None, azure_endpoint_url="https://acc9.privatelink.blob.core.windows.net")
    assert service._service.account == "acc9"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"azure_storage_account": "Not an account"}, "3 to 24"),
        ({"azure_endpoint_url": "https://account2.blob.core.windows.net"}, "is for account2"),
        ({"azure_endpoint_url": "http://127.0.0.1:10000/account2"}, "is for account2"),
        ({"azure_storage_account": "a.example.com/"}, "3 to 24"),
        ({"azure_storage_account": None}, "no account is named"),
        ({"azure_storage_account": None, "azure_endpoint_url": "https://files.example.com"}, "azure_storage_account"),
        ({"azure_endpoint_url": "https://user:geheim@files.example.com"}, "a user or a password"),
        ({"azure_endpoint_url": "https://files.example.com/?sv=1&sig=geheim"}, "azure_sas_token"),
        ({"azure_endpoint_url": "https://files.example.com/account1/container"}, "the account's own"),
        ({"azure_endpoint_url": "ftp://files.example.com"}, "no address"),
        ({"azure_endpoint_url": "https://[files.example.com"}, "no address"),
        ({"azure_endpoint_url": "https://files.example.com:99999"}, "no address"),
        ({"azure_endpoint_url": "files example com"}, "no address"),
        ({"azure_endpoint_url": "http://files.example.com"}, "allow_http"),
        ({"azure_endpoint_url": "https://account1.dfs.core.windows.net"}, "with .blob. in it"),
        ({"azure_endpoint_url": "https://account1.z6.queue.storage.azure.net"}, "with .blob. in it"),
        ({"azure_connection_string": '"AccountName=acc5;AccountKey=geheim"'}, "unquoted"),
        (
            {"azure_connection_string": "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://emulator"},
            "allow_http",
        ),
        ({"azure_connection_string": "DefaultEndpointsProtocol=http;AccountName=acc;AccountKey=YQ=="}, "allow_http"),
    ],
)
def test_what_is_no_place(make, config, said):
    with pytest.raises(InvalidConfigurationException, match=said) as caught:
        make(**config)
    assert "geheim" not in str(caught.value)


def test_http_where_it_is_allowed(make):
    assert make(azure_endpoint_url="http://files.example.com", allow_http=True)._service.secure is False


def test_keys_for_compute_are_ignored(make):
    more = {"azure_subscription_id": "s", "azure_resource_group": "g", "azure_region_name": "eastus"}
    assert make(**more).name == "azure"
