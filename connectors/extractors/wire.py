"""How a resource travels to a cleaning process and its pages travel back: data only, checked on arrival.

A frame is two big-endian lengths, a JSON head and raw bytes. Nothing in it can be more than data: whoever takes over a
child by a hostile document can lie about a page, and no more.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import orjson

from connectors.models import CleaningRules, Draft, Extracted, Hints, Page, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

LENGTHS = struct.Struct(">II")
MAX_ANSWER = 128 * 1024**2

_PAGE = tuple(item.name for item in fields(Page))
_TUPLES = ("redirects", "robots")


class WireError(ValueError):
    """A frame that is no honest answer."""


def allowed_s(size: int, wall_s: float) -> float:
    """Return the seconds that an item of ``size`` bytes may take: as much again for each megabyte, up to five times."""
    return wall_s * min(5.0, 1 + size / 1024**2)


def request(resource: Resource, rules: CleaningRules) -> tuple[bytes, bytes]:
    """Return the head of the frame that asks for ``resource`` to be cleaned, and its body."""
    body = resource.body or b""
    told = {item.name: getattr(resource, item.name) for item in fields(resource) if item.name not in {"body", "hints"}}
    head = _dump(told | {"hints": resource.hints, "rules": rules})
    return LENGTHS.pack(len(head), len(body)) + head, body


def read_request(head: bytes, body: bytes) -> tuple[Resource, CleaningRules]:
    """Undo `request`, in the child."""
    told = orjson.loads(head)
    rules, hints = told.pop("rules"), told.pop("hints")
    hints["section"] = tuple(hints["section"])
    for name in _TUPLES:
        told[name] = tuple(told[name])
    kept = CleaningRules(select=tuple(rules["select"]), remove=tuple(rules["remove"]), language=rules["language"])
    return Resource(**told, body=body, hints=Hints(**hints)), kept


def answer(extracted: Extracted, *, retiring: bool = False) -> bytes:
    """Return the frame that carries ``extracted``; ``retiring`` asks the parent to send nothing more."""
    told: dict[str, Any] = {
        item.name: getattr(extracted, item.name) for item in fields(extracted) if item.name not in {"pages", "drafts"}
    }
    told["pages"] = [[getattr(page, name) for name in _PAGE] for page in extracted.pages]
    told["drafts"] = [[draft.content, draft.text_hash, draft.fingerprint] for draft in extracted.drafts]
    told["retiring"] = retiring
    head = _dump(told)
    if len(head) > MAX_ANSWER:
        return answer(Extracted(problem="too-large", detail="The cleaned text is larger than one answer may be."))
    return LENGTHS.pack(len(head), 0) + head


def read_answer(head: bytes | bytearray) -> tuple[Extracted, bool]:
    """Undo `answer`, in the parent; a whole number of more than 64 bits may lose digits, as in the ledger.

    Returns:
        What was extracted, and whether the child wants to retire.

    Raises:
        WireError: the bytes are no answer of the documented shape.
    """
    try:
        told = orjson.loads(head)
        return _extracted(told), told["retiring"] is True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WireError(f"The cleaning process answered with something else than pages ({error}).") from error


def _extracted(told: Mapping[str, Any]) -> Extracted:
    pages = tuple(_page(dict(zip(_PAGE, row, strict=True))) for row in told["pages"])
    return Extracted(
        pages=pages,
        drafts=tuple(_draft(page, row) for page, row in zip(pages, told["drafts"], strict=True)),
        links=_strings(told["links"]),
        canonical=_of(str, told["canonical"]),
        noindex=_of(bool, told["noindex"]),
        nofollow=_of(bool, told["nofollow"]),
        problem=_of(str, told["problem"]),
        detail=_of(str, told["detail"]),
        alternate_markdown=_of(str, told["alternate_markdown"]),
        report=_of(dict, told["report"]),
    )


def _page(told: Mapping[str, Any]) -> Page:
    return Page(
        uri=_of(str, told["uri"]),
        title=_of(str, told["title"]),
        content=_of(str, told["content"]),
        metadata=_of(dict, told["metadata"]),
        flags=_strings(told["flags"]),
        blocks=_all(int, told["blocks"]),
        weak=_of(bool, told["weak"]),
    )


def _draft(page: Page, row: Any) -> Draft:
    content, text_hash, fingerprint = _strings(row)
    return Draft(page=page, content=content, text_hash=text_hash, fingerprint=fingerprint)


def _strings(values: Any) -> tuple[str, ...]:
    return _all(str, values)


def _all(kind: type, values: Any) -> tuple[Any, ...]:
    if not set(map(type, _of(list, values))) <= {kind}:
        raise WireError(f"expected {kind.__name__} throughout")
    return tuple(values)


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise WireError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # a lone surrogate cannot be stored or sent; it becomes a question mark here, once for everybody
        pass
    text = json.dumps(value, ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_plain)
    return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
