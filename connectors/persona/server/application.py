"""The embedded server put together: endpoints, pages, the gate in front, and every error as JSON."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from connectors.persona.server import api
from connectors.persona.server.calls import Refusal
from connectors.persona.server.gate import LOOPBACK, Gate
from connectors.persona.server.model import writer_from_environment
from connectors.persona.server.pages import add_pages, error_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.responses import JSONResponse, Response
    from pydantic import SecretStr
    from starlette.requests import Request

    from connectors.persona.server.store import Store

logger = logging.getLogger(__name__)
SHOWN_ERRORS = 3


def build(store: Store, *, secret: SecretStr | None, hosts: frozenset[str] | None, max_body_bytes: int) -> FastAPI:
    """Return the application over a store."""
    app = FastAPI(
        title="Persona API (embedded)",
        version="2",
        description="The documented Persona API over a local knowledge base.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.store = store
    writer = writer_from_environment()
    api.add_routes(app, store, writer)
    add_pages(app, store, writer)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_such_thing)
    app.add_exception_handler(sqlite3.Error, _storage)
    app.add_exception_handler(Exception, _broken)
    allowed = None if hosts is None else LOOPBACK | {host.lower() for host in hosts}
    app.add_middleware(Gate, secret=secret, hosts=allowed, max_body_bytes=max_body_bytes)
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return api.error_answer(getattr(error, "status", 400), str(error))


async def _no_such_thing(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 400)
    said = {404: "there is nothing at this address", 405: "this address does not take this method"}
    return error_page(request, status, said.get(status, str(getattr(error, "detail", "it is not understood"))))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    errors: Sequence[dict[str, Any]] = error.errors() if isinstance(error, RequestValidationError) else []
    if any(item["type"] == "json_invalid" for item in errors):
        return api.error_answer(400, "the body is no JSON")
    said = [f"{_field(item['loc'])}: {_sentence(item)}" for item in errors[:SHOWN_ERRORS]]
    more = f" (and {len(errors) - SHOWN_ERRORS} more)" if len(errors) > SHOWN_ERRORS else ""
    return api.error_answer(422, "; ".join(said) + more)


def _field(place: Sequence[str | int]) -> str:
    """Return a place in the body as a person writes it: ``pages[0].title``."""
    text = ""
    for part in place[1:] if place and place[0] in {"body", "path", "query"} else place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text[:200] or "the body"


def _sentence(item: dict[str, Any]) -> str:
    return "is required" if item["type"] == "missing" else str(item["msg"]).removeprefix("Value error, ")[:200]


async def _storage(_: Request, error: Exception) -> JSONResponse:
    logger.error("The knowledge base cannot be used: %s", error)
    return api.error_answer(503, f"the knowledge base cannot be used: {error}")


async def _broken(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return api.error_answer(500, "the server failed; its log says where")
