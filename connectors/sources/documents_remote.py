"""Source: the documents in a bucket, through fsspec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from connectors.errors import UsageError
from connectors.sources.documents_store import Entry, StillChangingError

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure", "memory": "",
}  # fmt: skip
_STAMPS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "generation",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "created",
)
_URL_SAFE = "/:@!$&'()*+,;=~"
_DATES = ("LastModified", "last_modified", "updated", "mtime")


def check_address(where: str) -> str:
    """Return the scheme of an address that documents can be read from.

    Raises:
        UsageError: its kind is not supported.
    """
    scheme = where.partition("://")[0].lower()
    if scheme not in EXTRAS or "::" in where:  # http, ssh, ftp and chained ones would go round the guarded door
        allowed = ", ".join(f"{name}://" for name in EXTRAS if name != "memory")
        raise UsageError(f"Documents cannot be read from {scheme}://; write a path, or one of {allowed}.")
    return scheme


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """The files below a path of one fsspec file system."""

    system: Any
    root: str

    @classmethod
    def at(cls, where: str) -> RemoteFiles:
        """Open ``where``.

        Raises:
            UsageError: the kind of address is not supported, or the extra that reads it is not installed.
        """
        scheme = check_address(where)
        from fsspec.core import url_to_fs

        try:
            system, root = url_to_fs(where)
        except ImportError as error:
            raise UsageError(
                f"To read {scheme}:// install the extra: pip install 'persona-ingest[{EXTRAS[scheme]}]'."
            ) from error
        return cls(system, root)

    def entries(self) -> Iterator[Entry]:
        """List all files below the root, by path; what begins with a dot is left out."""
        try:
            self.system.invalidate_cache()
            found: dict[str, dict[str, Any]] = self.system.find(self.root, detail=True)
        except Exception as error:  # each file system raises its own kinds
            raise UsageError(f"The documents at {self._uri(self.root)} cannot be listed: {error}") from error
        if not found:
            raise UsageError(f"There are no documents at {self._uri(self.root)}: name a folder or file that exists.")
        for path in sorted(found):
            name = self._below_root(path)
            if not any(part.startswith(".") for part in PurePosixPath(name).parts):
                yield self._entry(name, path, found[path])

    def read(self, entry: Entry) -> tuple[bytes, Entry]:
        """Read a file between two looks at its stamp."""
        path = self._path(entry)
        try:
            before = self._entry(entry.path, path, self.system.info(path))
            body: bytes = self.system.cat_file(path)
            self.system.invalidate_cache()
            after = self._entry(entry.path, path, self.system.info(path))
        except OSError:
            raise
        except Exception as error:
            raise OSError(str(error)) from error
        if before.stamp != after.stamp:
            raise StillChangingError
        return body, after

    def _entry(self, name: str, path: str, info: dict[str, Any]) -> Entry:
        stamp = "-".join(str(info[key]) for key in _STAMPS if info.get(key) is not None).replace("/", "_")
        size = int(info.get("size") or 0)
        modified = next((info[key] for key in _DATES if info.get(key) is not None), "")
        when = modified.isoformat() if hasattr(modified, "isoformat") else ""
        return Entry(path=name, uri=self._uri(path), size=size, stamp=f"{size}-{stamp}", modified=when)

    def _below_root(self, path: str) -> str:
        below = path.removeprefix(self.root.rstrip("/")).lstrip("/")
        return below or PurePosixPath(path).name

    def _path(self, entry: Entry) -> str:
        whole = self.root.rstrip("/")
        return (
            whole if PurePosixPath(whole).name == entry.path and self.system.isfile(whole) else f"{whole}/{entry.path}"
        )

    def _uri(self, path: str) -> str:
        scheme, _, rest = str(self.system.unstrip_protocol(path)).partition("://")
        return f"{scheme}://{quote(rest, safe=_URL_SAFE)}"
