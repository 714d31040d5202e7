"""Prefect's API with each route made when it is first asked for: making all 184 takes longer than a short run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from prefect.server.utilities.server import PrefectRouter
from starlette.routing import compile_path

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    Waiting = tuple[re.Pattern[str], PrefectRouter, str, Callable[..., Any], dict[str, Any]]

_MOUNTED_AT = "/api"


class LaterRoutes:
    """Takes down the routes of Prefect's API while that is imported, and stands in front of the application later."""

    def __init__(self) -> None:
        self._add = PrefectRouter.add_api_route
        self._waiting: list[Waiting] = []
        self._places: dict[Callable[..., Any], int] = {}
        self._app: ASGIApp | None = None

    def __enter__(self) -> Self:
        def later(router: PrefectRouter, path: str, endpoint: Callable[..., Any], **kwargs: Any) -> None:
            self._places[endpoint] = len(self._places)
            self._waiting.append((compile_path(router.prefix + path)[0], router, path, endpoint, kwargs))

        PrefectRouter.add_api_route = later  # type: ignore[assignment, method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        PrefectRouter.add_api_route = self._add  # type: ignore[method-assign]

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the application with this in front of it."""
        self._app = app
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, by a route that is there when it is needed."""
        assert self._app is not None
        if scope["type"] == "http":
            self._make(scope["path"].removeprefix(_MOUNTED_AT))
        await self._app(scope, receive, send)

    def _make(self, path: str) -> None:
        asked = [one for one in self._waiting if one[0].match(path)]
        for one in asked:
            self._waiting.remove(one)
            _, router, part, endpoint, kwargs = one
            self._add(router, part, endpoint, **kwargs)
            # The first that matches answers: they stand in the order in which Prefect names them.
            router.routes.sort(key=lambda route: self._places.get(getattr(route, "endpoint", None), -1))  # type: ignore[arg-type]
