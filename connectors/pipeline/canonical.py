"""Which of several URLs of one page speaks for it: a pure decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def keepers(held: Mapping[str, str], is_live: Callable[[str], bool]) -> frozenset[str]:
    """Say which of the held pages must be delivered under their own URI.

    A page that names another URI as canonical is held back until the crawl is over. It is let go when that URI
    turned out to be a live page, and kept when the URI is dead: a wrong ``rel=canonical`` must not lose a page.

    Args:
        held: the held page's URI to the URI it names as canonical.
        is_live: whether a URI that is *not* held was fetched in this run and is a page.

    Returns:
        URIs to deliver. A chain ends at its last held page when its target is dead; of a circle the smallest
        URI is kept.
    """
    kept: set[str] = set()
    decided: set[str] = set()
    for start in sorted(held):
        path: list[str] = []
        uri = start
        while uri in held and uri not in decided and uri not in path:
            path.append(uri)
            uri = held[uri]
        if uri in path:
            kept.add(min(path[path.index(uri) :]))
        elif path and uri not in held and not is_live(uri):
            kept.add(path[-1])
        decided.update(path)
    return frozenset(kept)
