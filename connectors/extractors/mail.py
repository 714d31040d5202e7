"""A mail (EML): who wrote when, the text, and its attachments as pages of their own."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from connectors.extractors.bundle import combined
from connectors.extractors.paper import Text, extracted
from connectors.media_types import EML, HTML
from connectors.models import CleaningRules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from connectors.extractors.bundle import Member, Read
    from connectors.models import Extracted, Resource

_ATTACHMENTS = 50


def extract(resource: Resource, rules: CleaningRules, *, read: Read) -> Extracted:
    """Make the pages of a mail."""
    message = email.message_from_bytes(resource.body or b"", policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    subject = _header(message, "Subject")
    text = Text(
        markdown=_letter(message, resource, read),
        title=subject,
        author=_header(message, "From"),
        date=_date(message),
        media_type=EML,
        strategy="mail",
    )
    hints = replace(resource.hints, title=subject)
    own = extracted(text, resource=replace(resource, hints=hints), rules=rules)
    return combined(resource, rules, _attachments(message), read=read, first=own.pages)


def _letter(message: EmailMessage, resource: Resource, read: Read) -> str:
    lines = [f"**{name}:** {value}" for name in ("From", "To", "Date") if (value := _header(message, name))]
    return "\n\n".join(["  \n".join(lines), _body(message, resource, read)])


def _body(message: EmailMessage, resource: Resource, read: Read) -> str:
    """Return the plain text; the HTML where there is none."""
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    if part.get_content_subtype() == "html":
        inner = replace(resource, media_type=HTML, body=raw, charset=part.get_content_charset() or "")
        return "\n\n".join(page.content for page in read(inner, CleaningRules(select=("body",))).pages)
    from connectors.extractors.plain import decode

    return decode(raw, part.get_content_charset() or "")[0].strip()


def _attachments(message: EmailMessage) -> Iterator[Member]:
    for number, part in enumerate(message.iter_attachments()):
        if number >= _ATTACHMENTS:
            return
        payload = part.get_payload(decode=True)
        name = part.get_filename() or f"part-{number + 1}"
        kind = part.get_content_type()
        if isinstance(payload, bytes) and payload and not kind.startswith(("image/", "audio/", "video/")):
            yield name, payload, kind


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())


def _date(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(_header(message, "Date")).date().isoformat()
    except (ValueError, TypeError, IndexError):
        return ""
