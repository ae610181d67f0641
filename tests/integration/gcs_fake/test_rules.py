"""Rules of the service that few clients meet."""

import json
import re

import pytest
from servers.gcs.probing import code_of, path_of


def test_lists_of_buckets_have_pages(client, ask, gcs, new_name):
    prefix = new_name()
    names = [f"{prefix}-{letter}" for letter in "cab"]
    for name in names:
        client.create_bucket(name)
    params = {"project": gcs.project, "prefix": f"{prefix}-", "maxResults": 2}
    first = ask("GET", "/storage/v1/b", params=params).json()
    assert [each["name"] for each in first["items"]] == sorted(names)[:2]
    rest = ask("GET", "/storage/v1/b", params={**params, "pageToken": first["nextPageToken"]}).json()
    assert [each["name"] for each in rest["items"]] == sorted(names)[2:]
    assert "nextPageToken" not in rest
    wrong = {**params, "prefix": "another", "pageToken": first["nextPageToken"]}
    assert ask("GET", "/storage/v1/b", params=wrong).status_code == 400


def test_layout(ask, bucket):
    found = ask("GET", f"{path_of(bucket)}/storageLayout", params={"prefix": "a/"}).json()
    about = ask("GET", path_of(bucket)).json()
    assert found == {
        "kind": "storage#storageLayout",
        "bucket": bucket.name,
        "location": about["location"],
        "locationType": about["locationType"],
        "hierarchicalNamespace": {"enabled": False},
    }
    assert ask("GET", f"{path_of(bucket)}-x/storageLayout").status_code == 404


def test_projections(ask, bucket, put):
    put("x")
    assert "acl" not in ask("GET", path_of(bucket)).json()
    found = ask("GET", path_of(bucket), params={"projection": "full"}).json()
    assert {entry["role"] for entry in found["acl"]} == {"OWNER", "WRITER", "READER"}
    assert found["defaultObjectAcl"]
    found = ask("GET", path_of(bucket, "x"), params={"projection": "full"}).json()
    assert found["acl"][0]["role"] == "OWNER"
    assert ask("GET", path_of(bucket), params={"projection": "all"}).status_code == 400


def test_entries_of_lists(ask, bucket, put, client):
    put("x")
    email = client._credentials.service_account_email
    base = f"{path_of(bucket, 'x')}/acl"
    entry = {"entity": f"user-{email}.other", "role": "READER"}
    assert ask("POST", base, json=entry).json()["email"] == f"{email}.other"
    assert ask("PATCH", f"{base}/{entry['entity']}", json={"role": "OWNER"}).json()["role"] == "OWNER"
    assert ask("POST", base, json={**entry, "role": "WRITER"}).status_code == 400
    assert ask("POST", base, json={"entity": "everybody", "role": "READER"}).status_code == 400
    assert ask("DELETE", f"{base}/{entry['entity']}").status_code == 204
    assert ask("GET", f"{base}/{entry['entity']}").status_code == 404
    assert ask("GET", path_of(bucket, "x")).json()["metageneration"] == "4"
    default = f"{path_of(bucket)}/defaultObjectAcl"
    ask("POST", default, json={"entity": "allUsers", "role": "READER"})
    put("public")
    assert ask("GET", f"/{bucket.name}/public", token=None).status_code == 200
    assert ask("GET", f"/{bucket.name}/x", token=None).status_code == 403


def test_lists_that_are_predefined(ask, bucket, put):
    put("x", predefinedAcl="publicRead")
    assert ask("GET", path_of(bucket, "x"), token=None).status_code == 200
    put("y", expect=400, predefinedAcl="everything")
    ask("PATCH", path_of(bucket), json={"iamConfiguration": {"publicAccessPrevention": "enforced"}})
    assert ask("GET", path_of(bucket, "x"), token=None).status_code == 401
    put("y", expect=412, predefinedAcl="publicRead")
    ask("PATCH", path_of(bucket), json={"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}})
    put("y", expect=400, predefinedAcl="private")


def test_policies_are_checked(ask, bucket, reason_of):
    path = f"{path_of(bucket)}/iam"
    policy = ask("GET", path).json()
    assert (policy["kind"], policy["version"]) == ("storage#policy", 1)
    for wrong in (
        {"bindings": [{"role": "roles/viewer", "members": ["allUsers"]}]},
        {"bindings": [{"role": "roles/storage.objectViewer", "members": ["somebody"]}]},
        {"version": 2, "bindings": []},
    ):
        assert reason_of(ask("PUT", path, json=wrong)).status == 400
    assert ask("PUT", path, json=policy).json()["etag"] != policy["etag"]
    assert ask("PUT", path, json=policy).status_code == 412


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*", ["a", "b"]),
        ("**", ["a", "b", "c/d", "c/e/f"]),
        ("c/*", ["c/d"]),
        ("c/**", ["c/d", "c/e/f"]),
        ("**/f", ["c/e/f"]),
        ("?", ["a", "b"]),
        ("[a-b]", ["a", "b"]),
        ("[!a]", ["b"]),
        ("{a,c/d}", ["a", "c/d"]),
    ],
)
def test_globs(ask, bucket, put, glob, found):
    for name in ("a", "b", "c/d", "c/e/f"):
        put(name)
    listed = ask("GET", f"{path_of(bucket)}/o", params={"matchGlob": glob}).json()
    assert [each["name"] for each in listed.get("items", [])] == found


def test_lists_of_versions_have_pages(ask, bucket, put):
    ask("PATCH", path_of(bucket), json={"versioning": {"enabled": True}})
    stored = [(name, put(name)["generation"]) for name in ("a", "b", "a", "a")]
    seen, token = [], None
    while token or not seen:
        params = {"versions": "true", "maxResults": 1, **({"pageToken": token} if token else {})}
        page = ask("GET", f"{path_of(bucket)}/o", params=params).json()
        seen += [(each["name"], each["generation"]) for each in page["items"]]
        token = page.get("nextPageToken")
    assert seen == sorted(stored)
    live = ask("GET", f"{path_of(bucket)}/o").json()["items"]
    assert [(each["name"], each["generation"]) for each in live] == [stored[3], stored[1]]


def test_conditions_are_about_the_live_version(ask, bucket, put):
    ask("PATCH", path_of(bucket), json={"versioning": {"enabled": True}})
    old, new = (put("x")["generation"] for _ in range(2))
    path, params = path_of(bucket, "x"), {"generation": old}
    assert ask("GET", path, params={**params, "ifGenerationMatch": old}).status_code == 412
    assert ask("GET", path, params={**params, "ifGenerationMatch": new}).json()["generation"] == old
    assert ask("DELETE", path, params={"ifGenerationMatch": new}).status_code == 204
    assert ask("GET", path, params={**params, "ifGenerationMatch": 0}).json()["generation"] == old


def test_retention_and_versions(ask, bucket, put, reason_of):
    fields = {"versioning": {"enabled": True}, "retentionPolicy": {"retentionPeriod": "1000"}}
    assert ask("PATCH", path_of(bucket), json=fields).status_code == 200
    first = put("x")["generation"]
    second = put("x")["generation"]
    assert ask("DELETE", path_of(bucket, "x")).status_code == 204
    for generation in (first, second):
        refused = reason_of(ask("DELETE", path_of(bucket, "x"), params={"generation": generation}))
        assert (refused.status, refused.reason) == (403, "retentionPolicyNotMet")


def test_retention_of_one_object(ask, gcs, put, bucket, reason_of, new_name):
    retention = {"mode": "Unlocked", "retainUntilTime": "2999-01-01T00:00:00Z"}
    put("x", expect=400, resource={"retention": retention})
    name = new_name()
    params = {"project": gcs.project, "enableObjectRetention": "true"}
    assert ask("POST", "/storage/v1/b", params=params, json={"name": name}).json()["objectRetention"] == {
        "mode": "Enabled"
    }
    upload = f"/upload/storage/v1/b/{name}/o"
    assert ask("POST", upload, params={"uploadType": "media", "name": "x"}, data=b"").status_code == 200
    path = f"/storage/v1/b/{name}/o/x"
    found = ask("PATCH", path, json={"retention": retention}).json()
    assert found["retentionExpirationTime"] == "2999-01-01T00:00:00.000Z"
    assert reason_of(ask("DELETE", path)).reason == "retentionPolicyNotMet"
    assert reason_of(ask("PATCH", path, json={"retention": None})).status == 403
    params = {"overrideUnlockedRetention": "true"}
    assert ask("PATCH", path, params=params, json={"retention": None}).status_code == 200
    assert ask("DELETE", path).status_code == 204


def test_event_based_holds_begin_the_retention_when_they_end(ask, bucket, put):
    ask("PATCH", path_of(bucket), json={"retentionPolicy": {"retentionPeriod": "1000"}, "defaultEventBasedHold": True})
    held = put("x")
    assert (held["eventBasedHold"], "retentionExpirationTime" in held) == (True, False)
    released = ask("PATCH", path_of(bucket, "x"), json={"eventBasedHold": False}).json()
    assert released["retentionExpirationTime"] > held["timeCreated"]


def test_conditions_of_the_xml_interface(ask, bucket):
    path = f"/{bucket.name}/x"
    first = ask("PUT", path, headers={"x-goog-if-generation-match": "0"}, data=b"1")
    assert first.status_code == 200
    assert code_of(ask("PUT", path, headers={"x-goog-if-generation-match": "0"}, data=b"2")) == (
        412,
        "PreconditionFailed",
    )
    own = {"x-goog-if-generation-match": first.headers["x-goog-generation"]}
    assert ask("PUT", path, headers=own, data=b"2").status_code == 200
    assert code_of(ask("DELETE", path, headers=own)) == (412, "PreconditionFailed")
    assert code_of(ask("GET", path, params={"generation": own["x-goog-if-generation-match"]})) == (404, "NoSuchKey")
    assert ask("GET", path).content == b"2"
    assert code_of(ask("PUT", path, headers={"x-goog-copy-source": "a/b"}, data=b"")) == (501, "NotImplemented")
    assert code_of(ask("PUT", path, headers={"x-goog-content-length-range": "2,3"}, data=b"1")) == (
        400,
        "EntityTooSmall",
    )
    assert code_of(ask("GET", path, params={"tagging": ""})) == (400, "InvalidQueryParameterValue")


def test_headers_of_the_xml_interface(ask, bucket):
    sent = {
        "Cache-Control": "no-cache",
        "Content-Disposition": "attachment",
        "Content-Encoding": "br",
        "Content-Language": "de",
        "Content-Type": "a/b",
        "x-goog-meta-k": "v",
        "x-goog-storage-class": "NEARLINE",
        "x-goog-acl": "public-read",
    }
    assert ask("PUT", f"/{bucket.name}/x", headers=sent, data=b"1").status_code == 200
    found = ask("GET", f"/{bucket.name}/x", token=None, stream=True)
    assert {name: found.headers.get(name) for name in sent if name != "x-goog-acl"} == {
        name: value for name, value in sent.items() if name != "x-goog-acl"
    }


def test_copies_take_all_or_nothing_from_their_source(ask, bucket, put):
    put("x", resource={"metadata": {"a": "1"}, "cacheControl": "no-cache", "contentLanguage": "de"})
    path = f"{path_of(bucket, 'x')}/rewriteTo/b/{bucket.name}/o/y"
    copied = ask("POST", path).json()["resource"]
    assert (copied["metadata"], copied["contentLanguage"], copied["contentType"]) == ({"a": "1"}, "de", "text/plain")
    copied = ask("POST", path, json={"metadata": {"b": "2"}}).json()["resource"]
    assert (copied["metadata"], "contentLanguage" in copied) == ({"b": "2"}, False)
    assert ask("POST", path, params={"maxBytesRewrittenPerCall": 1000}).status_code == 400
    assert ask("POST", path, params={"ifSourceMetagenerationMatch": 5}).status_code == 412
    assert ask("POST", path, params={"ifGenerationMatch": 0}).status_code == 412


def test_compositions_are_checked(ask, bucket, put, reason_of):
    put("x")
    path = f"{path_of(bucket, 'y')}/compose"
    assert reason_of(ask("POST", path, json={"sourceObjects": []})).reason == "required"
    missing = reason_of(ask("POST", path, json={"sourceObjects": [{"name": "none"}]}))
    assert (missing.status, missing.message) == (404, f"No such object: {bucket.name}/none")
    body = {"sourceObjects": [{"name": "x"}] * 2, "destination": {"crc32c": "AAAAAA=="}}
    assert "doesn't match calculated CRC32C" in reason_of(ask("POST", path, json=body)).message
    body = {"sourceObjects": [{"name": "x"}] * 2, "deleteSourceObjects": True}
    made = ask("POST", path, json=body).json()
    assert (made["size"], made["componentCount"], "md5Hash" in made) == ("14", 2, False)
    assert ask("GET", path_of(bucket, "x")).status_code == 404
    told = ask("GET", path_of(bucket, "y"), params={"alt": "media"}).headers
    assert (told["X-Goog-Component-Count"], "md5=" in told["X-Goog-Hash"]) == ("2", False)


def test_an_object_may_be_made_of_itself(ask, bucket, put):
    put("log", b"one ")
    put("more", b"two")
    path = f"{path_of(bucket, 'log')}/compose"
    assert ask("POST", path, json={"sourceObjects": [{"name": "log"}, {"name": "more"}]}).status_code == 200
    assert ask("GET", path_of(bucket, "log"), params={"alt": "media"}).content == b"one two"


def test_uploads_in_parts_meet_holds_at_their_end(ask, bucket, put):
    put("x", resource={"temporaryHold": True})
    begun = ask("POST", f"/{bucket.name}/x?uploads")
    upload = re.search("<UploadId>(.*?)</UploadId>", begun.text)[1]
    part = ask("PUT", f"/{bucket.name}/x", params={"uploadId": upload, "partNumber": 1}, data=b"1")
    told = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['ETag']}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>"
    answer = ask("POST", f"/{bucket.name}/x", params={"uploadId": upload}, data=body)
    assert code_of(answer) == (403, "ObjectUnderActiveHold")


def test_buckets_with_uploads_are_not_empty(ask, bucket, reason_of):
    begun = ask("POST", f"/{bucket.name}/x?uploads")
    assert reason_of(ask("DELETE", path_of(bucket))).status == 409
    upload = re.search("<UploadId>(.*?)</UploadId>", begun.text)[1]
    assert ask("DELETE", f"/{bucket.name}/x", params={"uploadId": upload}).status_code == 204
    assert ask("DELETE", path_of(bucket)).status_code == 204


def test_what_is_soft_deleted_is_listed(ask, bucket, put):
    generations = [put("x")["generation"] for _ in range(3)]
    listed = ask("GET", f"{path_of(bucket)}/o", params={"softDeleted": "true"}).json()["items"]
    assert [each["generation"] for each in listed] == generations[:2]
    path = path_of(bucket, "x")
    params = {"softDeleted": "true", "generation": generations[0]}
    deleted = ask("GET", path, params=params).json()
    assert deleted["hardDeleteTime"] > deleted["softDeleteTime"]
    assert ask("GET", path, params={"softDeleted": "true"}).status_code == 400
    restore = {"generation": generations[0], "ifGenerationMatch": generations[2]}
    restored = ask("POST", f"{path}/restore", params=restore, json={}).json()
    assert int(restored["generation"]) > int(generations[2])
    ask("PATCH", path_of(bucket), json={"softDeletePolicy": {"retentionDurationSeconds": "0"}})
    ask("DELETE", path)
    listed = ask("GET", f"{path_of(bucket)}/o", params={"softDeleted": "true"}).json()["items"]
    assert restored["generation"] not in [each["generation"] for each in listed]


def test_metadata_in_any_script(ask, bucket, put):
    metadata = {"Key": "välue", "κλειδί": "\U0001f511", "line": "a\nb"}
    assert put("x", resource={"metadata": metadata})["metadata"] == metadata
    found = ask("GET", path_of(bucket, "x"))
    assert json.loads(found.content)["metadata"] == metadata
    head = ask("HEAD", f"/{bucket.name}/x")
    assert head.headers["x-goog-meta-key"].encode("latin-1").decode() == "välue"
    assert head.headers["x-goog-meta-line"] == "a b"
