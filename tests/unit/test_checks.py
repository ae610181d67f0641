"""What is refused before anything is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudbridge_store import errors
from cloudbridge_store.core import checks, content_types
from cloudbridge_store.core.checks import PutKeywords
from cloudbridge_store.drivers.base import CONTENT_HEADERS, Encryption, PutOptions

GOOD_BUCKETS = ["abc", "a-b", "a1b2", "a" * 63, "my-bucket"]
BAD_BUCKETS = [
    "hello world", "helloWorld", "hello.world:how_goes_it", "-hello", "hello-", "hello_bucket", "a" * 64,
    "197.10.100.42", None, "cb", "", "abcd\n", "1abc", 7, "a..b", "ünïcode",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD_BUCKETS)
def test_bucket_names(name):
    assert checks.bucket_name(name) == name


@pytest.mark.parametrize("name", BAD_BUCKETS)
def test_bucket_names_that_are_refused(name):
    with pytest.raises(errors.InvalidNameException, match="Invalid name: "):
        checks.bucket_name(name)


def test_bucket_names_that_one_service_has_a_meaning_for():
    assert checks.bucket_name("$web", {"$web"}) == "$web"
    for name in ("$web", "$webs", ["$web"]):
        with pytest.raises(errors.InvalidNameException):
            checks.bucket_name(name, {"$root"})


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "at least one character"), (None, "not NoneType"), (b"k", "not bytes"), ("a\x00b", r"U\+0000"),
        ("a\nb", r"U\+000A"), ("a\x7f", r"U\+007F"), ("a\x85", r"U\+0085"), ("a\ufffe", r"U\+FFFE"), ("a\uffff", r"U\+FFFF"),
        ("a\ud800", "surrogate"), ("x" * 1025, "1025 bytes"), ("é" * 513, "1026 bytes"), (".", "segments"),
        ("..", "segments"), ("a/../b", "segments"), ("./a", "segments"), ("a/.", "segments"), ("a//..//b", "segments"),
    ],
)  # fmt: skip
def test_keys_that_are_refused_say_why(faulty, key, why):
    provider = faulty()
    bucket = provider.storage.buckets.create("a-bucket")
    provider.driver.calls.clear()
    for use in (
        bucket.objects.create,
        bucket.objects.get,
        bucket.objects.exists,
        lambda name: bucket.objects.delete_many([name]),
    ):
        with pytest.raises(errors.InvalidLabelException, match=why):
            use(key)
    assert provider.driver.calls == []


@given(st.text(min_size=1, max_size=200))
def test_a_key_is_either_refused_or_faithful(key):
    reason = checks._refusal(key, 1024)
    if reason is None:
        assert key.encode().decode() == key
        assert not {".", ".."} & set(key.split("/"))
        assert key.isprintable() or all(char.isprintable() or ord(char) > 0x9F for char in key)


@pytest.mark.parametrize("prefix", ["", "a", "a/.", "a/..", ".", "..", "x/.hid", "/", "é"])
def test_a_prefix_may_be_any_beginning_of_a_key(faulty, prefix):
    assert checks.key_prefix(faulty().session, prefix) == prefix


@pytest.mark.parametrize("prefix", ["a\n", "../", "a/./b", "\ud800", "x" * 1025])
def test_a_prefix_that_no_key_has_is_refused(faulty, prefix):
    with pytest.raises(errors.InvalidLabelException):
        checks.key_prefix(faulty().session, prefix)
    with pytest.raises(errors.InvalidValueException):
        checks.key_prefix(faulty().session, 5)


@pytest.mark.parametrize("seconds", [0, -1, 604_801, "60", None, True, float("nan"), float("inf")])
def test_an_expiry_that_the_service_would_refuse(faulty, seconds):
    with pytest.raises(errors.InvalidValueException, match="604800"):
        checks.expiry(faulty().session, seconds)


def options(provider, **keywords):
    return checks.put_options(provider.session, "a.txt", keywords)


def test_the_keywords_are_the_contracts_options():
    assert set(PutKeywords.__annotations__) == set(PutOptions.__dataclass_fields__) - {"headers"} | CONTENT_HEADERS


def test_a_misspelt_keyword_is_a_type_error(faulty):
    with pytest.raises(TypeError, match="unexpected keyword argument 'contenttype'"):
        options(faulty(), contenttype="text/plain")


@pytest.mark.parametrize(
    "wrong",
    [
        {"metadata": {"Upper": "x"}}, {"metadata": {"1a": "x"}}, {"metadata": {"a b": "x"}}, {"metadata": {"": "x"}},
        {"metadata": {"a": "x\r\ny: z"}}, {"metadata": {"a": 5}}, {"metadata": {"a": "x" * 3000}}, {"metadata": {"a": "\ud800"}},
        {"tags": {f"t{n}": "" for n in range(11)}}, {"tags": {"": "x"}}, {"tags": {"a" * 129: "x"}}, {"tags": {"a": "x" * 257}},
        {"content_type": "text/plain\r\nX-Evil: 1"}, {"cache_control": "é"}, {"content_disposition": ""},
        {"if_none_match": "abc"}, {"if_none_match": "*", "if_match": "abc"},
    ],
)  # fmt: skip
def test_values_that_would_not_arrive_faithfully(faulty, wrong):
    with pytest.raises(errors.InvalidValueException):
        options(faulty(), **wrong)


def test_options_that_the_service_lacks_are_all_named(faulty):
    from dataclasses import replace

    provider = faulty()
    lacking = {"user_metadata": False, "tags": False, "conditional_put": frozenset(), "content_headers": frozenset()}
    provider.driver.capabilities = replace(provider.capabilities, storage_classes=frozenset({"COLD"}), **lacking)
    with pytest.raises(errors.UnsupportedOperationError) as caught:
        options(provider, metadata={"a": "b"}, tags={"a": "b"}, if_match="e", cache_control="x", storage_class="HOT")
    for what in ("cache_control", "metadata", "tags", "if_match", "HOT (there are: COLD)"):
        assert what in str(caught.value)
    assert options(provider, metadata={}, tags=None, storage_class="COLD").storage_class == "COLD"


def test_a_refusal_says_what_can_be_done(faulty):
    from dataclasses import replace

    provider = faulty()
    bucket = provider.storage.buckets.create("a-bucket")
    obj = bucket.objects.create("a")
    hints = {name: f"do {name}" for name in ("if_match", "tags", "sign", "rules", "versions", "kms", "account_rules")}
    lacking = {"conditional_put": frozenset(), "tags": False, "sign": frozenset()}
    provider.driver.capabilities = replace(provider.capabilities, hints=hints, **lacking)
    calls = {
        "do if_match": lambda: obj.upload(b"", if_match="e"),
        "do tags. do if_match": lambda: obj.upload(b"", if_match="e", tags={"a": "b"}),
        "do tags": obj.get_tags,
        "do sign": lambda: obj.generate_url(60),
        "do rules": lambda: bucket.get_rules("cors"),
        "do account_rules": lambda: provider.storage.get_rules("cors"),
        "do versions": lambda: list(obj.versions()),
        "do kms": lambda: obj.upload(b"", encryption=Encryption.kms("key")),
        "": lambda: obj.upload(b"", if_none_match="*"),
    }
    for hint, call in calls.items():
        with pytest.raises(errors.UnsupportedOperationError) as caught:
            call()
        assert caught.value.hint == hint
        assert str(caught.value).endswith(hint)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.txt", "text/plain"), ("a.TXT", "text/plain"), ("dir.txt/a", "application/octet-stream"), ("x.csv.gz", "application/gzip"),
        ("x.json", "application/json"), ("x.parquet", "application/vnd.apache.parquet"), ("x.yaml", "application/yaml"),
        ("noextension", "application/octet-stream"), ("x.vcf.gz", "application/gzip"), (".png", "application/octet-stream"),
    ],
)  # fmt: skip
def test_content_types_do_not_depend_on_the_host(key, expected):
    assert content_types.guess(key) == expected
