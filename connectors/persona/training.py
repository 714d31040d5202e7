"""The training data read as a stream: items out of bytes, whole or an error, never a short list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.models import Item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEPTH_LIMIT = 64
LONGEST_ITEM = 64 * 1024**2
"""The most bytes that one item may take on the wire."""


class BrokenStreamError(ValueError):
    """The bytes are not the documented answer."""


class Reader:
    """A push parser of ``{"status": "success", "training_data": [{"id", "content"}, ...]}``.

    Feed it bytes as they come, take items as they are complete, and call `finish` at the end: only when that
    returns was the list whole. Memory is bounded by one item.

    """

    def __init__(self, *, max_item_bytes: int = LONGEST_ITEM) -> None:
        import ijson

        self._max_item_bytes = max_item_bytes
        self._events: Any = ijson.sendable_list()
        self._parser: Any = ijson.basic_parse_coro(self._events, use_float=True)
        self._since_item = 0
        self._depth = 0
        self._key = ""
        self._status: str | None = ""
        self._lists = 0
        self._in_list = False
        self._item: dict[str, Any] | None = None

    def feed(self, data: bytes) -> Iterator[Item]:
        """Yield the items that these bytes complete.

        Raises:
            BrokenStreamError: they are not the documented answer, or one item is over the bound.
        """
        if not data:  # the parser would take it for the end
            return
        self._push(data)
        self._since_item += len(data)
        for event, value in self._taken():
            item = self._step(event, value)
            if item is not None:
                self._since_item = 0
                yield item
        if self._since_item > self._max_item_bytes:
            raise BrokenStreamError(f"one item is over {self._max_item_bytes} bytes")

    @property
    def between_items(self) -> bool:
        """Whether the list has begun and no item is open: what comes next is an item, if a comma or nothing came."""
        return self._in_list and self._depth == 2 and self._item is None  # noqa: PLR2004

    def finish(self) -> Sequence[Item]:
        """Say that no more bytes come; nothing is left to give out.

        Raises:
            BrokenStreamError: the document is not complete, or not a success with a list.
        """
        try:
            self._parser.close()
        except Exception as error:  # ijson's backends raise a colourful choice
            raise BrokenStreamError("it ends too early") from error
        if self._status != "success":
            raise BrokenStreamError("it does not say success")
        if self._lists != 1:
            raise BrokenStreamError("the promised 'training_data' is missing")
        return ()

    def _push(self, data: bytes) -> None:
        try:
            self._parser.send(data)
        except Exception as error:
            raise BrokenStreamError("it is no JSON") from error

    def _taken(self) -> list[tuple[str, Any]]:
        events = list(self._events)
        del self._events[:]
        return events

    def _step(self, event: str, value: Any) -> Item | None:
        if event in {"end_map", "end_array"}:
            return self._leave(event)
        if event == "map_key":
            self._name(value)
            return None
        if self._depth == 0 and event != "start_map":
            raise BrokenStreamError("it is no object")
        if self._depth == 1:
            self._in_answer(event, value)
        elif self._depth == 2 and self._in_list:  # noqa: PLR2004
            if event != "start_map":
                raise BrokenStreamError("an item is no object")
            self._item = {}
        elif self._depth == 3 and self._item is not None and self._key in {"id", "content"}:  # noqa: PLR2004
            self._item[self._key] = value if event == "string" else None
        if event in {"start_map", "start_array"}:
            self._depth += 1
            if self._depth > DEPTH_LIMIT:
                raise BrokenStreamError("it is nested too deep")
        return None

    def _in_answer(self, event: str, value: Any) -> None:
        if self._key == "status":
            self._status = value if event == "string" else None
        elif self._key == "training_data":
            if event != "start_array":
                raise BrokenStreamError("'training_data' is no array")
            self._in_list = True
            self._lists += 1

    def _name(self, key: str) -> None:
        twice = (self._depth == 1 and key == "status" and self._status != "") or (
            self._depth == 3 and self._item is not None and key in self._item  # noqa: PLR2004
        )
        if twice:
            raise BrokenStreamError(f"{key!r} stands twice")
        self._key = key

    def _leave(self, event: str) -> Item | None:
        self._depth -= 1
        if event == "end_array" and self._depth == 1:
            self._in_list = False
        if event != "end_map" or self._depth != 2 or not self._in_list or self._item is None:  # noqa: PLR2004
            return None
        item, self._item = self._item, None
        item_id, content = item.get("id"), item.get("content")
        if not isinstance(item_id, str) or not item_id or not isinstance(content, str):
            raise BrokenStreamError("an item without the promised 'id' and 'content'")
        return Item(id=item_id, content=content)
