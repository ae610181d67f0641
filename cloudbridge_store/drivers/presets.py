"""S3-compatible services as data: where each is, and what it does differently from AWS.

A row states what its service does when nobody says otherwise. Services mend their faults, so every flag can be set by
a config key of its own, ``s3_`` and the flag's name, and no table of regions is a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal

from cloudbridge_store.config import ConfigKey
from cloudbridge_store.errors import InvalidConfigurationException

MiB, GiB = 2**20, 2**30


@dataclass(frozen=True, slots=True)
class S3Preset:
    """One S3-compatible service. The defaults are what most of them have in common."""

    name: str
    title: str
    endpoint: str = ""
    """Host with ``{region}`` and ``{account}`` to be filled in; empty: every user has their own."""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Pairs of a glob of regions and the endpoint that those have instead."""
    regions: tuple[str, ...] = ()
    """Examples; any other is taken too."""
    default_region: str = ""
    addressing_style: Literal["path", "virtual", "auto"] = "path"
    signature_version: str = "s3v4"
    list_version: Literal[1, 2] = 2
    list_url_encode: bool = True
    etag_is_md5: bool = True
    multipart_etag_is_md5: bool = True
    """The ETag of a multipart object is the MD5 of its parts' MD5s."""
    already_exists_detectable: bool = False
    """Creating a bucket that one has already is an error that says so."""
    min_part: int = 5 * MiB
    max_part: int = 5 * GiB
    max_parts: int = 10_000
    """1: the service has no multipart uploads."""
    equal_part_size: bool = False
    copy: bool = True
    multipart_copy: bool = True
    acl: bool = True
    tagging: bool = True
    versioning: bool = True
    encryption: frozenset[str] = frozenset()
    """``service``, ``kms`` and ``customer``: who may hold the key that an object is encrypted with."""
    rules: frozenset[str] = frozenset()
    """``cors`` and ``lifecycle``: rules that a bucket can have."""
    post_policy: bool = True
    """Forms can be signed."""
    max_copy: int = 5 * GiB
    """Bytes that one request copies; more goes by parts."""
    conditional_put: frozenset[str] = frozenset()
    """``if_none_match`` and ``if_match``; what is not known to hold is left out: it would lose data in silence."""
    conditional_multipart: bool = True
    """Completing a multipart upload keeps these conditions too."""
    checksum: Literal["crc32", "md5", "none"] = "md5"
    """What goes with uploads; ``crc32`` may go as a trailer."""
    delete_digest: Literal["md5", "crc32", "sha256"] = "md5"
    location_constraint: bool = False
    """Creating a bucket names the region; otherwise the endpoint decides."""
    force_https: bool = False
    storage_classes: tuple[str, ...] = ("STANDARD",)
    """Those that may be asked for."""
    max_metadata_bytes: int = 2048
    metadata_underscore: bool = True
    """Names of metadata may hold an underscore; otherwise it becomes a hyphen."""
    notes: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The config keys that the endpoint cannot be built without, apart from those with a default."""
        region = ("aws_region_name",) if "{region}" in self.endpoint and not self.default_region else ()
        account = ("s3_account",) if "{account}" in self.endpoint else ()
        return (*region, *account) if self.endpoint else ("s3_endpoint_url",)

    def endpoint_url(self, region: str | None, account: str | None = None, secure: bool = True) -> str | None:
        """Return the service's URL; ``None`` for AWS, whose partitions and variants its SDK knows.

        :param region: ``None`` for the default one.
        :raises InvalidConfigurationException: a part is missing or cannot stand in a host name, or plain http is asked
            of a service that has none; the message names the config key.
        """
        if self.force_https and not secure:
            message = f"preset {self.name} is served over https only: leave s3_is_secure at true"
            raise InvalidConfigurationException(message)
        if self.name == "aws":
            return None
        if not self.endpoint:
            message = f"preset {self.name} has no endpoint of its own: s3_endpoint_url is needed"
            raise InvalidConfigurationException(message)
        region = region or self.default_region
        pattern = next((each for glob, each in self.elsewhere if fnmatchcase(region, glob)), self.endpoint)
        if "{region}" in pattern:
            pattern = pattern.replace("{region}", self._host_part("aws_region_name", region, self.regions))
        if "{account}" in pattern:
            pattern = pattern.replace("{account}", self._host_part("s3_account", account, ()))
        return f"{'https' if secure else 'http'}://{pattern}"

    def _host_part(self, key: str, value: str | None, examples: tuple[str, ...]) -> str:
        if not value:
            such = f", such as {', '.join(examples[:3])}" if examples else ""
            message = f"preset {self.name} ({self.endpoint}) needs the config key {key}{such}"
            raise InvalidConfigurationException(message)
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value):
            message = f"config key {key}: {value!r} cannot stand in a host name"
            raise InvalidConfigurationException(message)
        return value


_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "addressing_style": ("auto", "path", "virtual"),
    "list_version": (1, 2),
    "conditional_put": ("if_match", "if_none_match"),
    "checksum": ("crc32", "md5", "none"),
    "delete_digest": ("crc32", "md5", "sha256"),
    "encryption": ("customer", "kms", "service"),
    "rules": ("cors", "lifecycle"),
}

_HELP: Mapping[str, str] = {
    "addressing_style": "where the bucket stands in a URL: path, virtual or auto",
    "signature_version": "how requests are signed",
    "list_version": "version of the listing call, 1 or 2",
    "list_url_encode": "listings are asked for with keys URL-encoded",
    "etag_is_md5": "the ETag of an object from one request is its MD5",
    "multipart_etag_is_md5": "the ETag of a multipart object is made of its parts' MD5s",
    "already_exists_detectable": "creating a bucket that one has already is an error that says so",
    "min_part": "bytes in the smallest part but the last",
    "max_part": "bytes in the largest part, and in the largest object of one request",
    "max_parts": "parts in an object; 1: no multipart uploads",
    "equal_part_size": "all parts but the last must be of one size",
    "copy": "objects can be copied by the service",
    "multipart_copy": "parts can be copied by the service",
    "acl": "objects have access control lists",
    "tagging": "objects have tags",
    "versioning": "buckets can keep versions",
    "encryption": "who may hold an object's key: service, kms, customer, with commas, or none",
    "rules": "rules that buckets can have: cors, lifecycle, with a comma, or none",
    "post_policy": "forms can be signed, for uploads by browsers",
    "max_copy": "bytes that one request copies; more goes by parts",
    "conditional_put": "conditions that writes keep: if_none_match, if_match, both with a comma, or none",
    "conditional_multipart": "completing a multipart upload keeps the same conditions",
    "checksum": "what goes with uploads: crc32, md5 or none",
    "delete_digest": "what goes with a batch of deletions: crc32, md5 or sha256",
    "location_constraint": "creating a bucket names the region",
    "force_https": "plain http is refused",
    "storage_classes": "storage classes that may be asked for, with commas",
    "max_metadata_bytes": "bytes of metadata that an object can have",
    "metadata_underscore": "names of metadata may hold an underscore",
}


def _override_key(flag: str, default: Any) -> ConfigKey:
    kind = type(default) if isinstance(default, bool | int) else str
    return ConfigKey(f"s3_{flag}", kind, f"{_HELP[flag]}; default: the preset's")


def override_keys() -> tuple[ConfigKey, ...]:
    """Return a config key for every flag of a preset; unset, the preset decides."""
    return tuple(_override_key(flag, getattr(_PLAIN, flag)) for flag in _HELP)


def with_overrides(preset: S3Preset, values: Mapping[str, Any]) -> S3Preset:
    """Return the preset with the flags that ``values`` has under ``s3_`` and their name; ``None`` changes nothing.

    :raises InvalidConfigurationException: a value that the flag cannot have.
    """
    given = {flag: values.get(f"s3_{flag}") for flag in _HELP}
    changed = {flag: _flag(flag, getattr(preset, flag), value) for flag, value in given.items() if value is not None}
    return replace(preset, **changed) if changed else preset


def _flag(flag: str, present: Any, given: Any) -> Any:
    value = _override_key(flag, present).parse(given)
    several = isinstance(present, frozenset | tuple)
    words = (
        [word for word in (part.strip() for part in value.split(",")) if word not in ("", "none")] if several else []
    )
    choices = _CHOICES.get(flag)
    if choices and not all(each in choices for each in (words if several else (value,))):
        message = f"config key s3_{flag} must be of {', '.join(map(str, choices))}, not {given!r}"
        raise InvalidConfigurationException(message)
    if type(present) is int and value < 1:
        message = f"config key s3_{flag} must be greater than 0, not {given!r}"
        raise InvalidConfigurationException(message)
    return type(present)(words) if several else value


def find(name: str) -> S3Preset:
    """Return a preset; case and ``_`` for ``-`` do not matter. :raises InvalidConfigurationException: there is none."""
    wanted = name.lower().replace("_", "-")
    if wanted in S3_PRESETS:
        return S3_PRESETS[wanted]
    import difflib  # what only a mistake needs

    near = difflib.get_close_matches(wanted, S3_PRESETS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(S3_PRESETS)}"
    message = f"there is no S3 preset {name!r}; {hint} For any other service: 'other' with s3_endpoint_url"
    raise InvalidConfigurationException(message)


def _table(rows: Iterable[S3Preset]) -> Mapping[str, S3Preset]:
    return MappingProxyType({row.name: row for row in rows})


_BOTH = frozenset({"if_none_match", "if_match"})
_ALL_KEYS = frozenset({"service", "kms", "customer"})
_ALL_RULES = frozenset({"cors", "lifecycle"})

_CEPH = S3Preset(
    "ceph", "Ceph RADOS Gateway", default_region="default", list_version=1, list_url_encode=False,
    conditional_put=frozenset({"if_none_match"}), conditional_multipart=False, metadata_underscore=False,
    encryption=frozenset({"customer"}), rules=_ALL_RULES,
    notes="its operator's own storage classes go into s3_storage_classes",
)  # fmt: skip

_PLAIN = S3Preset(
    "other", "Any other S3-compatible service", default_region="us-east-1", list_version=1, list_url_encode=False,
    multipart_etag_is_md5=False, notes="assumes as little as possible",
)  # fmt: skip


def _ceph(name: str, title: str, endpoint: str = "", **more: Any) -> S3Preset:
    more = {"default_region": "", "notes": "runs on Ceph", **more}
    return replace(_CEPH, name=name, title=title, endpoint=endpoint, **more)


S3_PRESETS: Mapping[str, S3Preset] = _table((
    S3Preset(
        "aws", "Amazon S3", "s3.{region}.amazonaws.com",
        elsewhere=(("cn-*", "s3.{region}.amazonaws.com.cn"), ("eusc-*", "s3.{region}.amazonaws.eu")),
        regions=("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "sa-east-1", "cn-north-1"),
        default_region="us-east-1", addressing_style="auto", already_exists_detectable=True,
        encryption=_ALL_KEYS, rules=_ALL_RULES,
        conditional_put=_BOTH, checksum="crc32", delete_digest="crc32",
        location_constraint=True,
        storage_classes=(
            "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE",
        ),
    ),
    S3Preset(
        "minio", "MinIO", default_region="us-east-1", already_exists_detectable=True,
        conditional_put=_BOTH, checksum="crc32", storage_classes=("STANDARD", "REDUCED_REDUNDANCY"),
        notes="its source is archived since April 2026; SeaweedFS, RustFS and Garage take its place",
    ),
    _CEPH,
    replace(_CEPH, name="rgw"),
    S3Preset(
        "swift-s3", "OpenStack Swift's S3 API", default_region="us-east-1", max_parts=1000, tagging=False, acl=False,
        post_policy=False, max_metadata_bytes=256, notes="keys come from 'openstack ec2 credentials create'",
    ),
    _ceph("auroraobjects", "AuroraObjects (PCextreme)", "o.auroraobjects.eu", default_region="default"),
    _ceph(
        "jetstream2", "Jetstream2", "js2.jetstream-cloud.org:8001", regions=("RegionOne",), default_region="RegionOne",
        notes="runs on Ceph; keys come from 'openstack ec2 credentials create'",
    ),
    S3Preset(
        "digitalocean", "DigitalOcean Spaces", "{region}.digitaloceanspaces.com",
        regions=("nyc3", "ams3", "sfo2", "sfo3", "sgp1", "fra1", "blr1", "syd1", "lon1", "tor1"),
        list_url_encode=False, notes="no copies between regions; encryption only with customer keys",
    ),
    S3Preset(
        "ovh", "OVHcloud Object Storage", "s3.{region}.io.cloud.ovh.net",
        elsewhere=(("us-*", "s3.{region}.io.cloud.ovh.us"),),
        regions=(
            "gra", "rbx", "sbg", "eu-west-par", "de", "uk", "waw", "bhs", "ca-east-tor", "sgp", "ap-southeast-syd",
            "ap-south-mum", "rbx-archive", "us-east-va", "us-west-or",
        ),
        notes="refused checksum trailers in 2025",
    ),
    S3Preset(
        "scaleway", "Scaleway Object Storage", "s3.{region}.scw.cloud", regions=("fr-par", "nl-ams", "pl-waw"),
        max_parts=1000, storage_classes=("STANDARD", "ONEZONE_IA", "GLACIER"),
    ),
    S3Preset(
        "backblaze", "Backblaze B2", "s3.{region}.backblazeb2.com",
        regions=("us-west-001", "us-west-004", "us-east-005", "eu-central-003"), acl=False, tagging=False,
        force_https=True,
        notes="an account has one region; the master key does not work, an application key does; always keeps versions",
    ),
    S3Preset(
        "wasabi", "Wasabi", "s3.{region}.wasabisys.com", regions=("us-east-1", "us-west-1", "eu-central-1"),
        notes="bills a minimum time of storage",
    ),
    S3Preset(
        "r2", "Cloudflare R2", "{account}.r2.cloudflarestorage.com", regions=("auto",), default_region="auto",
        multipart_etag_is_md5=False, equal_part_size=True, acl=False, tagging=False, versioning=False,
        conditional_put=_BOTH, storage_classes=("STANDARD", "STANDARD_IA"), max_metadata_bytes=8192,
        notes="a bucket of a jurisdiction is only at that one's endpoint: add .eu, .fedramp or .us to s3_account",
    ),
    _ceph(
        "linode", "Linode (Akamai) Object Storage", "{region}.linodeobjects.com",
        regions=("us-east-1", "us-iad-1", "us-ord-1", "eu-central-1", "fr-par-1", "nl-ams-1", "jp-osa-1"),
    ),
    S3Preset(
        "exoscale", "Exoscale SOS", "sos-{region}.exo.io",
        regions=("ch-gva-2", "ch-dk-2", "de-fra-1", "de-muc-1", "at-vie-1", "at-vie-2", "bg-sof-1"),
    ),
    _ceph(
        "hetzner", "Hetzner Object Storage", "{region}.your-objectstorage.com", regions=("fsn1", "nbg1", "hel1"),
    ),
    S3Preset(
        "ibm", "IBM Cloud Object Storage", "s3.{region}.cloud-object-storage.appdomain.cloud",
        regions=("us", "eu", "us-south", "us-east", "eu-de", "eu-gb", "jp-tok"), list_version=1,
        list_url_encode=False, multipart_etag_is_md5=False,
        notes="needs HMAC keys; private and direct hosts are given as s3_endpoint_url",
    ),
    S3Preset(
        "alibaba", "Alibaba Cloud OSS", "oss-{region}.aliyuncs.com",
        regions=("cn-hangzhou", "cn-shanghai", "cn-beijing", "ap-southeast-1", "eu-central-1", "us-west-1"),
        addressing_style="virtual", multipart_etag_is_md5=False, storage_classes=("STANDARD", "STANDARD_IA", "GLACIER"),
        notes="has x-oss-forbid-overwrite in place of if_none_match",
    ),
    S3Preset(
        "tencent", "Tencent Cloud COS", "cos.{region}.myqcloud.com",
        regions=("ap-guangzhou", "ap-beijing", "ap-shanghai", "ap-singapore", "eu-frankfurt", "na-ashburn"),
        addressing_style="virtual", list_version=1, multipart_etag_is_md5=False,
        storage_classes=("STANDARD", "STANDARD_IA", "ARCHIVE"),
        notes="bucket names end in the account's number; has x-cos-forbid-overwrite in place of if_none_match",
    ),
    S3Preset(
        "huawei", "Huawei Cloud OBS", "obs.{region}.myhuaweicloud.com",
        regions=("cn-north-4", "cn-east-3", "cn-south-1", "ap-southeast-1", "eu-west-101"),
        addressing_style="virtual", list_version=1, list_url_encode=False, multipart_etag_is_md5=False,
        storage_classes=("STANDARD", "WARM", "COLD"),
    ),
    S3Preset(
        "oracle", "Oracle Cloud Object Storage", "{account}.compat.objectstorage.{region}.oci.customer-oci.com",
        regions=("us-ashburn-1", "us-phoenix-1", "eu-frankfurt-1", "uk-london-1", "ap-tokyo-1"), acl=False,
        multipart_etag_is_md5=False, notes="s3_account is the namespace",
    ),
    S3Preset(
        "yandex", "Yandex Object Storage", "storage.yandexcloud.net", elsewhere=(("kz*", "storage.yandexcloud.kz"),),
        regions=("ru-central1",), default_region="ru-central1",
        storage_classes=("STANDARD", "COLD", "ICE"),
    ),
    S3Preset(
        "storj", "Storj", "gateway.storjshare.io", default_region="us-east-1", multipart_etag_is_md5=False,
        min_part=64 * MiB, multipart_copy=False, acl=False, notes="multipart uploads lose their metadata",
    ),
    S3Preset(
        "idrive", "IDrive e2", default_region="us-east-1", multipart_etag_is_md5=False,
        notes="the account's page shows its endpoint",
    ),
    S3Preset(
        "gcs-interop", "Google Cloud Storage, XML API", "storage.googleapis.com", regions=("auto",),
        default_region="auto", list_url_encode=False, multipart_etag_is_md5=False, multipart_copy=False, tagging=False,
        storage_classes=("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"), max_metadata_bytes=8192,
        notes="needs HMAC keys",
    ),
    S3Preset(
        "outscale", "3DS Outscale OOS", "oos.{region}.outscale.com",
        regions=("eu-west-2", "us-east-2", "us-west-1", "cloudgouv-eu-west-1", "ap-northeast-1"),
        list_url_encode=False,
    ),
    S3Preset(
        "ionos", "IONOS Object Storage", "s3.{region}.ionoscloud.com",
        regions=("eu-central-2", "eu-central-3", "eu-south-2"), list_url_encode=False,
    ),
    S3Preset(
        "selectel", "Selectel Cloud Storage", "s3.{region}.storage.selcloud.ru", regions=("ru-1",),
        default_region="ru-1", list_url_encode=False, multipart_etag_is_md5=False,
    ),
    S3Preset(
        "lyve", "Seagate Lyve Cloud", "s3.{region}.{account}.lyve.seagate.com", regions=("us-west-1", "eu-west-1"),
        multipart_etag_is_md5=False,
    ),
    S3Preset(
        "synology", "Synology C2", "{region}.s3.synologyc2.net", regions=("eu-001", "eu-002", "us-001", "tw-001"),
        multipart_etag_is_md5=False,
    ),
    S3Preset(
        "mega", "MEGA S4", "s3.{region}.megas4.com",
        regions=("eu-luxembourg-1", "eu-amsterdam-1", "ca-montreal-1", "ca-vancouver-1"),
        multipart_etag_is_md5=False, multipart_copy=False, acl=False,
    ),
    S3Preset(
        "magalu", "Magalu Cloud", "{region}.magaluobjects.com", regions=("br-se1", "br-ne1"), list_version=1,
        list_url_encode=False, multipart_etag_is_md5=False, storage_classes=("STANDARD", "GLACIER_IR"),
    ),
    S3Preset(
        "petabox", "Petabox", "s3.{region}.petabox.io",
        regions=("us-east-1", "eu-central-1", "ap-southeast-1", "me-south-1", "sa-east-1"),
    ),
    S3Preset(
        "qiniu", "Qiniu Kodo", "s3-{region}.qiniucs.com",
        regions=("cn-east-1", "cn-east-2", "cn-north-1", "cn-south-1", "us-north-1", "ap-southeast-1"),
        list_url_encode=False, multipart_etag_is_md5=False, location_constraint=True,
        storage_classes=("STANDARD", "LINE", "GLACIER", "DEEP_ARCHIVE"),
    ),
    S3Preset(
        "rabata", "Rabata", "s3.{region}.rabata.io", regions=("us-east-1", "eu-west-1", "eu-west-2"), copy=False,
        multipart_copy=False, acl=False, location_constraint=True,
    ),
    S3Preset(
        "fastly", "Fastly Object Storage", "{region}.object.fastlystorage.app",
        regions=("us-east", "us-west", "eu-central", "au-east-1", "jp-central-1", "uk-east-1"), etag_is_md5=False,
        multipart_etag_is_md5=False, max_parts=1, multipart_copy=False, acl=False,
    ),
    _ceph(
        "dreamhost", "DreamHost DreamObjects", "objects-{region}.dream.io", regions=("us-east-1",),
        default_region="us-east-1",
    ),
    S3Preset("tigris", "Tigris", "t3.storage.dev", regions=("auto",), default_region="auto"),
    S3Preset(
        "cubbit", "Cubbit DS3", "s3.cubbit.eu", regions=("eu-west-1",), default_region="eu-west-1",
        multipart_etag_is_md5=False,
    ),
    S3Preset(
        "impossible", "Impossible Cloud", "{region}.storage.impossibleapi.net",
        regions=("eu-central-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-east-1", "eu-north-1", "us-east-1"),
    ),
    _PLAIN,
))  # fmt: skip
