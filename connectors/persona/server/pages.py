"""The pages at the server's root: plain HTML made here, which works without JavaScript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jinja2
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from connectors.persona.server import markdown, personas, views
from connectors.persona.server.api import error_answer, respond
from connectors.persona.server.search import search
from connectors.persona.server.text import body_start, plain

if TYPE_CHECKING:
    import sqlite3

    from connectors.persona.server.model import Writer
    from connectors.persona.server.store import Store

HERE = Path(__file__).parent
MOST_QUESTION = 2_000
HITS = 25
USER = "local"


class Pages:
    """Templates filled from the store."""

    def __init__(self, store: Store, writer: Writer | None, app: FastAPI) -> None:
        self.store = store
        self.writer = writer
        self.app = app
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["suffixes"] = personas.SUFFIXES
        self._templates.filters |= {
            "markdown": markdown.rendered,
            "answer": markdown.answer,
            "web": _web,
            "host": _host,
            "date": lambda stamp: stamp[:10],
            "number": lambda count: f"{count:,}".replace(",", "\u202f"),
            "query": urlencode,
            "fact": _fact,
            "plain": plain,
            "json": lambda text: json.loads(text).items(),
            "body": _body,
        }

    def show(self, template: str, here: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page; ``here`` is the entry of the navigation it belongs to."""
        html = self._templates.get_template(f"{template}.html").render(here=here, **values)
        return HTMLResponse(html, status_code=status, headers={"cache-control": "no-store"})

    def home(self, db: sqlite3.Connection) -> HTMLResponse:
        """Return the first page."""
        recent, _, _ = views.listed(db, before=2**62)
        values: dict[str, Any] = {
            "counts": views.overview(db),
            "origins": views.origins(db),
            "prompts": views.some_prompts(db),
        }
        return self.show("home", "home", recent=recent[::-1][:6], chats=views.chats(db, most=4), **values)

    def listed(self, db: sqlite3.Connection, *, q: str, origin: str, after: int, before: int) -> HTMLResponse:
        """Return the list of pages, or what a search found."""
        if q.strip():
            hits = [
                {"hit": hit, "snippet": markdown.snippet(hit.passage, q)}
                for hit in search(db, q[:MOST_QUESTION], limit=HITS)
            ]
            return self.show("search", "pages", q=q, hits=hits)
        found, earlier, later = views.listed(db, origin=origin, after=after, before=before)
        count = views.overview(db)["pages"]
        return self.show(
            "pages", "pages", q="", pages=found, origin=origin, earlier=earlier, later=later, count=count,
            origins=views.origins(db),
        )  # fmt: skip

    def missing(self, what: str) -> HTMLResponse:
        """Return the page that says that something is not there."""
        return self.show("missing", "", status=404, what=what)


def add_pages(app: FastAPI, store: Store, writer: Writer | None) -> None:
    """Add the pages to the application."""
    pages = Pages(store, writer, app)
    app.state.pages = pages
    app.include_router(_reading(pages), include_in_schema=False)
    app.include_router(_asking(pages), include_in_schema=False)
    app.include_router(_rest(pages), include_in_schema=False)


def _reading(pages: Pages) -> APIRouter:
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/")
    def home() -> Response:
        with pages.store.reading() as db:
            return pages.home(db)

    @routes.get("/pages")
    def listed(q: str = "", origin: str = "", after: str = "", before: str = "") -> Response:
        with pages.store.reading() as db:
            return pages.listed(db, q=q, origin=origin, after=_id(after), before=_id(before))

    @routes.get("/pages/{page_id}")
    def page(page_id: str) -> Response:
        with pages.store.reading() as db:
            found = views.page(db, _id(page_id))
        return pages.show("page", "pages", page=found) if found else pages.missing("There is no such page.")

    @routes.get("/prompts")
    def prompts(after: str = "") -> Response:
        with pages.store.reading() as db:
            return pages.show("prompts", "prompts", prompts=views.prompts(db, after=_id(after)))

    @routes.get("/review")
    def review(before: str = "") -> Response:
        with pages.store.reading() as db:
            return pages.show("review", "review", findings=views.reviews(db, before=_id(before)))

    return routes


def _asking(pages: Pages) -> APIRouter:
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/ask")
    def form(q: str = "") -> Response:
        with pages.store.reading() as db:
            return pages.show("ask", "ask", q=q[:MOST_QUESTION], prompts=views.some_prompts(db, 8), problem="")

    @routes.post("/ask")
    async def ask(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        question = fields.get("q", [""])[0].strip()
        if not question or len(question) > MOST_QUESTION:
            problem = "Write a question first." if not question else "That is too long for a question."
            return pages.show("ask", "ask", q=question[:MOST_QUESTION], prompts=[], problem=problem, status=422)
        reply = await respond(pages.store, pages.writer, question)
        chat_id = pages.store.add_chat(USER, question, reply.text)
        return RedirectResponse(f"/chats/{chat_id}", status_code=303)

    @routes.get("/chats")
    def chats(before: str = "") -> Response:
        with pages.store.reading() as db:
            return pages.show("chats", "chats", chats=views.chats(db, before=_id(before)))

    @routes.get("/chats/{chat_id}")
    def chat(chat_id: str) -> Response:
        with pages.store.reading() as db:
            found = views.chat(db, chat_id)
        return pages.show("chat", "chats", chat=found) if found else pages.missing("There is no such chat.")

    return routes


def _rest(pages: Pages) -> APIRouter:
    routes = APIRouter(default_response_class=HTMLResponse)

    @routes.get("/personas")
    def shown() -> Response:
        with pages.store.reading() as db:
            values: dict[str, Any] = dict(views.personas(db))
        return pages.show("personas", "personas", **values)

    @routes.get("/docs")
    def docs() -> Response:
        schema = pages.app.openapi()
        calls = [
            {
                "method": method.upper(),
                "path": path,
                "tag": call.get("tags", [""])[0],
                "text": call.get("description", ""),
            }
            | {"fields": _fields(schema, call)}
            for path, methods in schema["paths"].items()
            for method, call in methods.items()
        ]
        return pages.show("docs", "docs", calls=calls)

    @routes.get("/static/style.css")
    def style() -> Response:
        return Response((HERE / "static" / "style.css").read_bytes(), media_type="text/css")

    @routes.get("/favicon.ico")
    @routes.get("/static/icon.svg")
    def icon() -> Response:
        return Response((HERE / "static" / "icon.svg").read_bytes(), media_type="image/svg+xml")

    return routes


def error_page(request: Request, status: int, message: str) -> Response:
    """Return an error as a page to a browser, and as JSON to everybody else."""
    browser = "text/html" in request.headers.get("accept", "")
    if browser and not request.url.path.startswith(("/persona/", "/api/")):
        pages: Pages = request.app.state.pages
        return pages.show("missing", "", status=status, what=message[:1].upper() + message[1:] + ".")
    return error_answer(status, message)


def _fields(schema: dict[str, Any], call: dict[str, Any]) -> list[dict[str, str]]:
    """Return the fields of a call's body by their full names."""
    content = call.get("requestBody", {}).get("content", {}).get("application/json", {})
    return _walk(schema, content["schema"], "") if content else []


def _walk(schema: dict[str, Any], part: dict[str, Any], name: str) -> list[dict[str, str]]:
    if "$ref" in part:
        part = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    if part.get("type") == "array" and "$ref" in part.get("items", {}):
        return _walk(schema, part["items"], f"{name}[]")
    if "properties" not in part:
        inner = part.get("items", {}).get("type", "")
        kind = f"array of {inner}s" if inner else str(part.get("type", "object or null"))
        return [{"name": name, "type": kind}]
    required = part.get("required", [])
    found = []
    for key, value in part["properties"].items():
        for field in _walk(schema, value, f"{name}.{key}" if name else key):
            optional = key not in required and "optional" not in field["type"]
            found.append(field | {"type": f"{field['type']}, optional"} if optional else field)
    return found


def _id(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0  # noqa: PLR2004 - 64 bits


def _web(url: str) -> str:
    """Return an address that may be linked, else nothing."""
    return url if url.startswith(("http://", "https://")) else ""


def _host(url: str) -> str:
    parts = urlsplit(url) if _web(url) else None
    return f"{parts.netloc}{parts.path}" if parts else url


def _body(content: str, title: str) -> str:
    """Return what there is to read: without the address and without a first heading that only repeats the title."""
    text = content[body_start(content) :].lstrip("\r\n")
    first, _, rest = text.partition("\n")
    return rest if first.startswith("# ") and plain(first[2:]) == plain(title) else text


def _fact(value: Any) -> str:
    """Return a value of metadata as a person reads it."""
    if isinstance(value, list):
        return " › ".join(_fact(item) for item in value)  # noqa: RUF001 - the sign is meant
    return str(value) if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)
