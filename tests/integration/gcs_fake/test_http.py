"""The fake by plain requests: what Google's client never sends, and the answers as they are."""

import base64
import gzip
import hashlib
import json
import os
import re
import threading

import google_crc32c
import pytest
from servers.gcs.probing import code_of, path_of, upload_path


def test_who_does_not_say_who_they_are(ask, bucket, reason_of):
    refused = reason_of(ask("GET", path_of(bucket, "x"), token=None))
    assert (refused.status, refused.reason) == (401, "required")
    assert refused.detail["location"] == "Authorization"
    assert refused.message.startswith(
        "Anonymous caller does not have storage.objects.get access to the Google Cloud Sto"
    )
    refused = reason_of(ask("GET", path_of(bucket), token="unknown"))
    assert (refused.status, refused.reason, refused.message) == (401, "authError", "Invalid Credentials")
    answer = ask("GET", f"/{bucket.name}/x", token=None)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)


def test_objects_are_hidden_from_those_who_may_not_list(ask, bucket, connect, gcs, put):
    put("there")
    stranger = connect(gcs.stranger_credentials_file, gcs.stranger_project)
    assert list(stranger.list_buckets()) == []
    token = stranger._credentials.token
    answers = [ask("GET", path_of(bucket, name), token=token) for name in ("there", "missing")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].text == answers[1].text


def test_what_is_not_there(ask, bucket, reason_of, gcs):
    refused = reason_of(ask("GET", path_of(bucket, "none")))
    assert (refused.status, refused.reason, refused.message) == (404, "notFound", f"No such object: {bucket.name}/none")
    refused = reason_of(ask("GET", "/storage/v1/b/no-such-bucket-here/o"))
    assert refused.message == "The specified bucket does not exist."
    answer = ask("GET", path_of(bucket, "none"), params={"alt": "media"})
    assert (answer.status_code, answer.text) == (404, f"No such object: {bucket.name}/none")
    answer = ask("GET", f"/{bucket.name}/none")
    assert re.search("<Code>(.*?)</Code>", answer.text)[1] == "NoSuchKey"
    assert re.search("<Code>(.*?)</Code>", ask("GET", "/no-such-bucket-here/x").text)[1] == "NoSuchBucket"
    assert ask("GET", "/storage/v1/nothing/here").status_code == 404
    assert ask("GET", f"{path_of(bucket)}/notificationConfigs").status_code == 501
    assert ask("GET", f"/{bucket.name}").status_code == 501


def test_what_is_not_known(ask, bucket, reason_of, gcs, put):
    assert reason_of(ask("GET", path_of(bucket), params={"projektion": "full"})).status == 400
    assert reason_of(ask("PATCH", path_of(bucket), json={"lables": {}})).status == 400
    assert reason_of(ask("PATCH", path_of(bucket), json={"versioning": {"enabled": "yes"}})).status == 400
    assert reason_of(ask("PATCH", path_of(bucket), data=b"{")).reason == "parseError"
    put("x", expect=400, resource={"contenttype": "a/b"})
    assert reason_of(ask("GET", path_of(bucket), params={"fields": "nmae"})).reason == "invalidParameter"
    assert reason_of(ask("GET", path_of(bucket), params={"fields": "name,("})).reason == "invalidParameter"


def test_projects(ask, reason_of, gcs, new_name):
    for method, more in (("GET", {}), ("POST", {"json": {"name": new_name()}})):
        refused = reason_of(ask(method, "/storage/v1/b", **more))
        assert (refused.status, refused.reason, refused.detail["location"]) == (400, "required", "project")
    refused = reason_of(ask("GET", "/storage/v1/b", params={"project": "nobodys"}))
    assert (refused.status, refused.reason) == (403, "forbidden")


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Upper", "-a-b", "a_b-", "10.0.0.1", "goog-a", "my-google-b", "a..b", "a b", ""]
)
def test_names_of_buckets(ask, gcs, name):
    answer = ask("POST", "/storage/v1/b", params={"project": gcs.project}, json={"name": name})
    assert answer.status_code == 400


def test_names_of_domains_are_to_be_verified(ask, gcs):
    answer = ask("POST", "/storage/v1/b", params={"project": gcs.project}, json={"name": "www.example.com"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "field",
    [
        {"location": "MOON"},
        {"storageClass": "WARM"},
        {"lifecycle": {"rule": [{"action": {"type": "Delete"}}]}},
        {"lifecycle": {"rule": [{"action": {"type": "Melt"}, "condition": {"age": 1}}]}},
        {"lifecycle": {"rule": [{"action": {"type": "SetStorageClass"}, "condition": {"age": 1}}]}},
        {"retentionPolicy": {"retentionPeriod": "0"}},
        {"softDeletePolicy": {"retentionDurationSeconds": "5"}},
        {"labels": {"Upper": "x"}},
        {"iamConfiguration": {"publicAccessPrevention": "maybe"}},
    ],
    ids=str,
)
def test_what_may_not_be_said_of_buckets(ask, gcs, new_name, field):
    answer = ask("POST", "/storage/v1/b", params={"project": gcs.project}, json={"name": new_name(), **field})
    assert answer.status_code == 400


def test_locked_retention(ask, bucket, reason_of):
    policy = {"retentionPolicy": {"retentionPeriod": "100"}}
    found = ask("PATCH", path_of(bucket), json=policy).json()
    lock = f"{path_of(bucket)}/lockRetentionPolicy"
    assert reason_of(ask("POST", lock)).reason == "required"
    assert reason_of(ask("POST", lock, params={"ifMetagenerationMatch": 99})).status == 412
    found = ask("POST", lock, params={"ifMetagenerationMatch": found["metageneration"]}).json()
    assert found["retentionPolicy"]["isLocked"] is True
    assert reason_of(ask("PATCH", path_of(bucket), json={"retentionPolicy": None})).status == 403
    shorter = {"retentionPolicy": {"retentionPeriod": "99"}}
    assert reason_of(ask("PATCH", path_of(bucket), json=shorter)).status == 403
    longer = {"retentionPolicy": {"retentionPeriod": "101"}}
    assert ask("PATCH", path_of(bucket), json=longer).json()["retentionPolicy"]["retentionPeriod"] == "101"


@pytest.mark.parametrize("name", [".", "..", "a\nb", "a\rb", "x" * 1025, "é" * 513, ".well-known/acme-challenge/x"])
def test_names_of_objects(ask, bucket, name):
    answer = ask("POST", upload_path(bucket), params={"uploadType": "media", "name": name}, data=b"")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "name", ["x" * 1024, "é" * 512, "a/../b", "//", "a\tb", "%2F", "?#&+ ", "\U0001f600", "e\u0301"]
)
def test_any_other_name(ask, bucket, name):
    stored = ask("POST", upload_path(bucket), params={"uploadType": "media", "name": name}, data=name.encode())
    assert stored.status_code == 200, stored.text
    assert ask("GET", path_of(bucket, name), params={"alt": "media"}).content == name.encode()
    assert [each["name"] for each in ask("GET", f"{path_of(bucket)}/o").json()["items"]] == [name]


def test_digests_are_compared(ask, bucket, put, reason_of):
    right = base64.b64encode(hashlib.md5(b"content", usedforsecurity=False).digest()).decode()
    crc32c = base64.b64encode(google_crc32c.value(b"content").to_bytes(4, "big")).decode()
    found = put("right", resource={"md5Hash": right, "crc32c": crc32c})
    assert (found["md5Hash"], found["crc32c"]) == (right, crc32c)
    refused = put("wrong", expect=400, resource={"md5Hash": crc32c})["error"]["message"]
    assert refused == f'Provided MD5 hash "{crc32c}" doesn\'t match calculated MD5 hash "{right}".'
    refused = put("wrong", expect=400, resource={"crc32c": "AAAAAA=="})["error"]["message"]
    assert refused == f'Provided CRC32C "AAAAAA==" doesn\'t match calculated CRC32C "{crc32c}".'
    put("wrong", expect=400, headers={"x-goog-hash": "crc32c=AAAAAA=="})
    answer = ask("PUT", f"/{bucket.name}/wrong", headers={"Content-MD5": "AAAA"}, data=b"content")
    assert (answer.status_code, "<Code>BadDigest</Code>" in answer.text) == (400, True)
    assert [each["name"] for each in ask("GET", f"{path_of(bucket)}/o").json()["items"]] == ["right"]


def test_headers_of_content(ask, bucket, put):
    found = put("x", resource={"cacheControl": "no-cache", "contentLanguage": "de", "storageClass": "COLDLINE"})
    answer = ask("GET", path_of(bucket, "x"), params={"alt": "media"})
    assert answer.headers["ETag"] == found["etag"]
    told = {name.lower(): value for name, value in answer.headers.items()}
    assert told["x-goog-generation"] == found["generation"]
    assert told["x-goog-metageneration"] == "1"
    assert told["x-goog-hash"] == f"crc32c={found['crc32c']},md5={found['md5Hash']}"
    assert told["x-goog-stored-content-length"] == "7"
    assert told["x-goog-stored-content-encoding"] == "identity"
    assert told["x-goog-storage-class"] == "COLDLINE"
    assert (told["cache-control"], told["content-language"], told["content-type"]) == ("no-cache", "de", "text/plain")
    assert told["content-length"] == "7"


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-3", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(ask, bucket, put, asked, status, body):
    put("x", b"0123456789")
    answer = ask("GET", path_of(bucket, "x"), params={"alt": "media"}, headers={"Range": asked})
    assert answer.status_code == status
    assert body is None or answer.content == body
    if status == 416:
        assert answer.headers["Content-Range"] == "bytes */10"


def test_an_empty_object_has_no_ranges(ask, bucket, put):
    put("x", b"")
    answer = ask("GET", path_of(bucket, "x"), params={"alt": "media"}, headers={"Range": "bytes=0-"})
    assert answer.status_code == 416
    assert ask("GET", path_of(bucket, "x"), params={"alt": "media"}).content == b""


def test_decompression(ask, bucket, put):
    packed = gzip.compress(b"plain text " * 10_000)
    put("x", packed, resource={"contentEncoding": "gzip"})
    path, params = path_of(bucket, "x"), {"alt": "media"}

    def get(**headers):
        return ask("GET", path, params=params, headers=headers, stream=True)

    plain = get(**{"Accept-Encoding": "identity", "Range": "bytes=0-3"})
    assert (plain.status_code, plain.raw.read()) == (200, b"plain text " * 10_000)
    assert "Content-Encoding" not in plain.headers
    assert "Content-Length" not in plain.headers
    assert plain.headers["X-Goog-Stored-Content-Encoding"] == "gzip"
    assert plain.headers["X-Goog-Stored-Content-Length"] == str(len(packed))
    assert plain.headers["Warning"] == "214 UploadServer gunzipped"
    stored = get(**{"Accept-Encoding": "gzip"})
    assert (stored.raw.read(decode_content=False), stored.headers["Content-Encoding"]) == (packed, "gzip")
    part = get(**{"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
    assert (part.status_code, part.raw.read(decode_content=False)) == (206, packed[:4])
    ask("PATCH", path, json={"cacheControl": "no-transform"})
    assert get(**{"Accept-Encoding": "identity"}).raw.read(decode_content=False) == packed


def test_conditions_of_http(ask, bucket, put):
    found = put("x")
    for path, tag in (
        (path_of(bucket, "x"), found["etag"]),
        (f"/{bucket.name}/x", '"9a0364b9e99bb480dd25e1f0284c8555"'),
    ):
        assert ask("GET", path, headers={"If-None-Match": tag}).status_code == 304
        assert ask("GET", path, headers={"If-None-Match": '"no"'}).status_code == 200
        assert ask("GET", path, headers={"If-Match": tag}).status_code == 200
        assert ask("GET", path, headers={"If-Match": '"no"'}).status_code == 412
    assert ask("GET", path, headers={"If-Unmodified-Since": "Thu, 01 Jan 2004 00:00:00 GMT"}).status_code == 412
    assert ask("GET", path, headers={"x-goog-if-generation-match": "1"}).status_code == 412


@pytest.mark.parametrize("condition", ["ifGenerationMatch", "ifMetagenerationMatch"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_conditions_of_every_method(ask, bucket, put, method, condition):
    found = put("x")
    more = {"json": {}} if method in ("PATCH", "PUT") else {}
    right = found["generation" if "Meta" not in condition else "metageneration"]
    path = path_of(bucket, "x")
    assert ask(method, path, params={condition: "77"}, **more).status_code == 412
    unwanted = condition.replace("Match", "NotMatch")
    assert ask(method, path, params={unwanted: right}, **more).status_code == 304
    assert ask(method, path, params={condition: "x"}, **more).status_code == 400
    assert ask(method, path, params={condition: right, unwanted: "77"}, **more).status_code in (200, 204)


def test_metadata_is_merged_and_replaced(ask, bucket, put):
    put("x", resource={"metadata": {"a": "1", "b": "2"}, "cacheControl": "no-cache"})
    path = path_of(bucket, "x")
    found = ask("PATCH", path, json={"metadata": {"a": None, "c": "ü"}}).json()
    assert (found["metadata"], found["metageneration"], found["cacheControl"]) == (
        {"b": "2", "c": "ü"},
        "2",
        "no-cache",
    )
    found = ask("PUT", path, json={"metadata": {"d": "4"}, "contentType": "a/b"}).json()
    assert (found["metadata"], "cacheControl" in found) == ({"d": "4"}, False)
    assert ask("PATCH", path, json={"metadata": {"a": "x" * 9000}}).status_code == 400
    assert ask("PATCH", path, json={"storageClass": "NEARLINE"}).status_code == 400
    assert ask("PATCH", path, json={"customTime": "2030-01-01T00:00:00Z"}).status_code == 200
    assert ask("PATCH", path, json={"customTime": "2029-01-01T00:00:00Z"}).status_code == 400
    assert ask("PATCH", path, json={"customTime": None}).status_code == 400


def test_partial_answers(ask, bucket, put):
    put("x", resource={"metadata": {"a": "1", "b": "2"}})
    put("y")
    fields = {"fields": "items(name,metadata/a),nextPageToken", "maxResults": 1}
    found = ask("GET", f"{path_of(bucket)}/o", params=fields).json()
    assert found.keys() == {"items", "nextPageToken"}
    assert found["items"] == [{"name": "x", "metadata": {"a": "1"}}]
    assert ask("GET", path_of(bucket, "x"), params={"fields": "name,size"}).json() == {"name": "x", "size": "7"}


def test_tokens_of_pages(ask, bucket, put, reason_of):
    for name in ("a/1", "a/2", "b", "c/", "c/1"):
        put(name)
    path = f"{path_of(bucket)}/o"
    first = ask("GET", path, params={"maxResults": 1, "delimiter": "/"}).json()
    assert (first["prefixes"], "items" in first) == (["a/"], False)
    token = first["nextPageToken"]
    rest = ask("GET", path, params={"delimiter": "/", "pageToken": token}).json()
    assert ([each["name"] for each in rest["items"]], rest["prefixes"]) == (["b"], ["c/"])
    assert "nextPageToken" not in rest
    assert reason_of(ask("GET", path, params={"pageToken": token})).status == 400
    assert reason_of(ask("GET", path, params={"pageToken": "AAAA"})).status == 400
    assert reason_of(ask("GET", path, params={"maxResults": 0})).status == 400
    both = ask("GET", path, params={"delimiter": "/", "includeTrailingDelimiter": "true", "prefix": ""}).json()
    assert ([each["name"] for each in both["items"]], both["prefixes"]) == (["b", "c/"], ["a/", "c/"])


def test_no_more_than_a_thousand_at_once(ask, bucket, put):
    for number in range(1001):
        put(f"{number:04}", b"")
    found = ask(
        "GET", f"{path_of(bucket)}/o", params={"maxResults": 5000, "fields": "items(name),nextPageToken"}
    ).json()
    assert len(found["items"]) == 1000
    rest = ask("GET", f"{path_of(bucket)}/o", params={"pageToken": found["nextPageToken"]}).json()
    assert [each["name"] for each in rest["items"]] == ["1000"]


def test_batches(ask, bucket, put):
    put("x")
    calls = [
        f"GET {path_of(bucket, 'x')} HTTP/1.1\r\n\r\n",
        f'PATCH {path_of(bucket, "x")} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{"metadata": {{"a": "1"}}}}',
        f"DELETE {path_of(bucket, 'none')} HTTP/1.1\r\n\r\n",
        f"DELETE {path_of(bucket, 'x')} HTTP/1.1\r\n\r\n",
    ]

    def send(calls):
        parts = "".join(
            f"--m\r\nContent-Type: application/http\r\nContent-ID: <id+{number}>\r\n\r\n{call}\r\n"
            for number, call in enumerate(calls)
        )
        kind = {"Content-Type": "multipart/mixed; boundary=m"}
        return ask("POST", "/batch/storage/v1", headers=kind, data=f"{parts}--m--")

    text = send(calls).text
    assert re.findall(r"HTTP/1\.1 (\d+)", text) == ["200", "200", "404", "204"]
    assert re.findall("Content-ID: <(.*?)>", text) == [f"response-id+{number}" for number in range(4)]
    assert send(calls[:1] * 101).status_code == 400
    assert send([]).status_code == 400
    assert send([f"GET {path_of(bucket, 'x')}?alt=media HTTP/1.1\r\n\r\n"]).status_code == 400


def test_own_keys_are_checked(ask, bucket, reason_of):
    key = os.urandom(32)
    right = {
        "x-goog-encryption-algorithm": "AES256",
        "x-goog-encryption-key": base64.b64encode(key).decode(),
        "x-goog-encryption-key-sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }
    wrong = {
        "customerEncryptionAlgorithmIsInvalid": {"x-goog-encryption-algorithm": "ROT13"},
        "customerEncryptionKeyFormatIsInvalid": {"x-goog-encryption-key": "AAAA"},
        "customerEncryptionKeySha256IsInvalid": {"x-goog-encryption-key-sha256": "AAAA"},
    }
    params = {"uploadType": "media", "name": "x"}
    for reason, headers in wrong.items():
        answer = ask("POST", upload_path(bucket), params=params, headers={**right, **headers}, data=b"x")
        assert reason_of(answer).reason == reason
    found = ask("POST", upload_path(bucket), params=params, headers=right, data=b"x").json()
    assert found["customerEncryption"] == {
        "encryptionAlgorithm": "AES256",
        "keySha256": right["x-goog-encryption-key-sha256"],
    }
    answer = ask("GET", f"/{bucket.name}/x")
    assert code_of(answer) == (400, "ResourceIsEncryptedWithCustomerEncryptionKey")


def test_keys_of_the_key_management_are_noted(bucket, put):
    key = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
    assert put("x", kmsKeyName=key)["kmsKeyName"] == f"{key}/cryptoKeyVersions/1"


def test_one_of_many_writers_wins(ask, bucket):
    answers = []

    def write(number):
        params = {"uploadType": "media", "name": "x", "ifGenerationMatch": 0}
        answers.append(ask("POST", upload_path(bucket), params=params, data=str(number)).status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [412] * 7


def test_answers_say_which_they_are(ask, bucket):
    seen = {ask("GET", path_of(bucket)).headers["X-GUploader-UploadID"] for _ in range(3)}
    assert len(seen) == 3


def test_resources_are_json(ask, bucket):
    found = ask("GET", path_of(bucket))
    assert found.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(found.content)["kind"] == "storage#bucket"
