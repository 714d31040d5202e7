"""A page that asks for a password instead of showing what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.web import logins

if TYPE_CHECKING:
    from connectors.extractors.html.document import Document
    from connectors.models import Resource

_FEW_WORDS = 100  # a page with more has something to say beside its form: a forum's head has one too


def stands_in(document: Document, resource: Resource, *, words: int) -> bool:
    """Say whether the page is a login that another page was redirected to; who named it itself gets it.

    Args:
        words: of the page's content.
    """
    if not resource.redirects or document.tree.first("input[type=password i]") is None:
        return False
    to, asked = document.uri, resource.redirects
    if any(logins.names_login(one) for one in asked):
        return False
    if logins.names_login(to) or any(logins.brings_back(to, one) for one in asked):
        return True
    return words < _FEW_WORDS and not any(to.startswith(one) for one in asked)  # a folder leads to what lies in it
