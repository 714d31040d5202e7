from __future__ import annotations

import httpx
from fastapi import FastAPI
from prefect.server.utilities.server import PrefectRouter

from flows.later_routes import LaterRoutes


def api():
    """An application as Prefect makes its own: routers are written down first, and mounted under /api."""
    with LaterRoutes() as later:
        router = PrefectRouter(prefix="/things")

        @router.get("/{name}")
        async def one(name: str) -> str:
            return f"one {name}"

        @router.post("/filter")
        async def wanted() -> str:
            return "some"

        other = PrefectRouter(prefix="/others")

        @other.get("/special")
        async def special() -> str:
            return "special"

        @other.get("/{name}")
        async def general(name: str) -> str:
            return f"general {name}"

    inner, app = FastAPI(), FastAPI()
    inner.include_router(router)
    inner.include_router(other)
    app.mount("/api", inner)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=later.before(app)), base_url="http://here/api/")
    return client, router, other


async def test_a_route_is_there_when_it_is_asked_for_and_not_before():
    client, router, _ = api()
    assert router.routes == []
    assert (await client.post("things/filter")).json() == "some"
    assert (await client.get("things/red")).json() == "one red"
    assert (await client.post("things/filter")).json() == "some"
    assert len(router.routes) == 2


async def test_the_order_in_which_routes_are_named_decides_not_the_order_in_which_they_are_asked_for():
    client, _, other = api()
    assert (await client.get("others/anything")).json() == "general anything"
    assert len(other.routes) == 1
    assert (await client.get("others/special")).json() == "special"
    assert (await client.get("others/anything")).json() == "general anything"


async def test_what_no_route_answers_is_not_found_and_a_wrong_method_not_allowed():
    client, *_ = api()
    assert (await client.get("nothing")).status_code == 404
    assert (await client.delete("things/filter")).status_code == 405


def test_after_the_import_routes_are_made_at_once():
    with LaterRoutes():
        pass
    router = PrefectRouter()
    router.add_api_route("/x", lambda: 1)
    assert len(router.routes) == 1
