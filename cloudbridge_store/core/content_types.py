"""Content types by name. Not the host's own table: the same name must mean the same type on every machine."""

from __future__ import annotations

from functools import cache
from posixpath import basename, splitext

# What Python's table lacks or has as a historic name, and what data people store.
_OWN = {
    ".arrow": "application/vnd.apache.arrow.file",
    ".avif": "image/avif",
    ".bam": "application/vnd.bam",
    ".bz2": "application/x-bzip2",
    ".cram": "application/vnd.cram",
    ".fasta": "text/x-fasta",
    ".fastq": "text/x-fastq",
    ".feather": "application/vnd.apache.arrow.file",
    ".geojson": "application/geo+json",
    ".gz": "application/gzip",
    ".h5": "application/x-hdf5",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/x-ndjson",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".nc": "application/x-netcdf",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".toml": "application/toml",
    ".vcf": "text/x-vcf",
    ".webp": "image/webp",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}
DEFAULT = "application/octet-stream"


@cache
def _python_table() -> dict[str, str]:
    import mimetypes

    # A fresh instance has Python's built-in table only; the module's own functions read the host's files.
    return mimetypes.MimeTypes().types_map[True]


def guess(key: str) -> str:
    """Return the content type that the key's extension stands for.

    A compressed file is what its last extension says (``x.csv.gz`` is gzip): a content *encoding* is never guessed,
    because services and clients decompress what carries one.
    """
    extension = splitext(basename(key))[1].lower()
    return _OWN.get(extension) or _python_table().get(extension, DEFAULT)
