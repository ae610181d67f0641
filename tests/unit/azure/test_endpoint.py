"""Where an account is."""

import pytest

pytest.importorskip("azure.storage.blob")

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


def test_the_account_of_a_private_link(make):
    service = make(azure_storage_account=None, azure_endpoint_url="https://acc9.privatelink.blob.core.windows.net")
    assert service._service.account == "acc9"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"azure_storage_account": "Not an account"}, "3 to 24"),
        ({"azure_storage_account": "a.example.com/"}, "3 to 24"),
        ({"azure_storage_account": None}, "no account is named"),
        ({"azure_storage_account": None, "azure_endpoint_url": "https://files.example.com"}, "azure_storage_account"),
        ({"azure_endpoint_url": "https://user:geheim@files.example.com"}, "a user or a password"),
        ({"azure_endpoint_url": "https://files.example.com/?sv=1&sig=geheim"}, "azure_sas_token"),
        ({"azure_endpoint_url": "https://files.example.com/account1/container"}, "the account's own"),
        ({"azure_endpoint_url": "ftp://files.example.com"}, "no address"),
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
