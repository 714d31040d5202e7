"""What is worth reading: pages and documents; pictures, archives, scripts, fonts and films are not. Pure."""

from __future__ import annotations

from connectors.media_types import BY_SUFFIX, ZIP
from connectors.web import urls


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PASSED_OVER = _words(
    # pictures
    "png jpg jpeg gif webp avif svg ico bmp tif tiff heic psd ai eps "
    # sound and film
    "mp3 mp4 m4a m4v wav ogg oga ogv opus flac webm avi mov mkv wmv mpg mpeg swf "
    # archives, packages and images of disks
    "zip gz tgz bz2 tbz xz txz zst 7z rar tar jar war whl egg deb rpm apk dmg iso img exe msi bin dll so msix pkg cab "
    # what a page is made with
    "js mjs cjs css map wasm woff woff2 ttf otf eot "
    # data that is no text
    "sqlite db pickle npy npz parquet pyc class o"
)
_DOCUMENTS = frozenset({suffix[1:] for suffix, kind in BY_SUFFIX.items() if kind != ZIP}) | {"adoc"}  # read as it is
_REFUSED_TYPES = _words(
    "application/javascript application/x-javascript application/ecmascript text/javascript text/css text/ecmascript "
    "application/zip application/gzip application/x-gzip application/x-tar application/x-bzip2 application/x-xz "
    "application/x-7z-compressed application/vnd.rar application/x-rar-compressed application/zstd "
    "application/java-archive application/x-debian-package application/vnd.debian.binary-package "
    "application/x-executable application/x-msdownload application/x-iso9660-image application/wasm "
    "application/x-shockwave-flash application/vnd.ms-fontobject application/font-woff application/x-font-ttf "
    "application/manifest+json application/vnd.sqlite3 application/x-sqlite3"
)
_REFUSED_FAMILIES = ("image/", "audio/", "video/", "font/", "model/")
_UNSAID = frozenset({"application/octet-stream", "binary/octet-stream", "application/x-download"})


def extension(uri: str) -> str:
    """Return the lower-case extension of a URL's path, without the dot; empty when it has none."""
    name = urls.path_of(uri).rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def passed_over_by_name(uri: str) -> bool:
    """Say whether the name alone shows that this is neither page nor document: it is not even requested.

    A query means that a program answers, and then the name shows nothing.
    """
    return "?" not in uri and extension(uri) in _PASSED_OVER


def is_wanted(media_type: str, uri: str) -> bool:
    """Say whether a body of this type is a page or a document; a type that says nothing leaves it to the name."""
    if media_type in _UNSAID:
        return extension(uri) in _DOCUMENTS
    return media_type not in _REFUSED_TYPES and not media_type.startswith(_REFUSED_FAMILIES)
