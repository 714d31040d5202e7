"""What Prefect imports and the process beside a command never uses: stand-ins that are there before Prefect is.

A third of Prefect's start-up is for what a follower has no part in: blocks that send notices, parsers of docstrings and
of job templates, the command line of the HTTP client. A server that `teller` tells of runs needs no engine, no client
and nothing that happens by itself later either. Whoever asks a stand-in for more than its names gets an error that says
so. Where Prefect cannot be imported beside them, it is imported without.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
from contextlib import asynccontextmanager
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FLUSH_EVERY_S = 0.2
_UNUSED = (
    "fsspec",
    "fsspec.core",
    "fsspec.implementations",
    "fsspec.implementations.local",
    "graphviz",
    "jsonschema",
    "jsonschema.exceptions",
    "pathspec",
    "prefect.blocks.abstract",
    "prefect.blocks.notifications",
    "prefect.blocks.system",
    "prefect.blocks.webhook",
    "pydantic.v1",
    "referencing",
    "referencing.exceptions",
)
_UNUSED_BY_A_SERVER = (
    "asyncpg",
    "asyncpg.exceptions",
    "cryptography",
    "cryptography.fernet",
    "httpcore",
    "httpx",
    "jinja2.exceptions",
    "prefect.blocks",
    "prefect.blocks.core",
    "prefect.server.utilities.user_templates",
    "prefect.utilities.schema_tools",
    "prefect.utilities.schema_tools.hydration",
    "prefect.utilities.schema_tools.validation",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.pg8000",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.postgresql.psycopg2cffi",
    "websockets",
    "websockets.asyncio",
    "websockets.asyncio.client",
    "websockets.exceptions",
)
_IDLE = (
    "docket",
    "docket.dependencies",
    "docket.execution",
    "jinja2",
    "prefect.client.schemas.worker_channel",
    "prometheus_client",
)
"""What is made of them is for later, for who measures, or for what nobody asks a temporary server."""


_AUTOMATIONS = (
    "prefect.server.events.actions",
    "prefect.server.events.models.automations",
    "prefect.server.events.models.composite_trigger_child_firing",
    "prefect.server.events.schemas.automations",
    "prefect.server.events.triggers",
)
"""Nobody makes some on a temporary server; to its tables what they consist of is JSON."""


def prepare(*, serving: bool) -> None:
    """Put the stand-ins in place; Prefect must not be imported yet.

    Args:
        serving: this process is Prefect's server too, which uses more of it.
    """
    _griffe()
    _module("coolname", generate=lambda *_: ["run"])  # until the run gets the name that its flow gives it
    _module("prefect._internal.analytics", initialize_analytics=_nothing, try_mark_milestone=_nothing)
    _module("slugify", slugify=lambda text: "-".join(re.findall("[a-z0-9]+", text.lower())))  # of types of blocks
    if serving:
        for name in _IDLE:
            _put(_Idle(name))
        for name in _AUTOMATIONS:
            _put(_Json(name))
    for name in (*_UNUSED, *_UNUSED_BY_A_SERVER) if serving else _UNUSED:
        _put(_Unused(name))
    if serving:
        _module("prefect.logging.configuration", setup_logging=_nothing)  # warnings go to stderr without it
        _openapi()
        _context()
    else:
        _client()
    _settings()


def serve_one_run(server: Any) -> None:
    """Leave out of a server what one run has no use for: workers of tasks that nobody puts off, and large caches.

    Its connections to SQLite get 1 MB to cache in: with Prefect's 80 MB all that a run writes stays in memory. Task
    runs are written down soon after they are heard of, which a run's end waits for; Prefect's setting knows whole
    seconds only.

    Args:
        server: `prefect.server.api.server`, whose application is not made yet.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration
    from prefect.server.services import task_run_recorder

    connected = AioSqliteConfiguration.setup_sqlite

    def setup(self: AioSqliteConfiguration, connection: Any, record: Any) -> None:
        connected(self, connection, record)
        connection.execute("PRAGMA cache_size = -200")

    AioSqliteConfiguration.setup_sqlite = setup  # type: ignore[method-assign, assignment]
    recording = task_run_recorder.consumer
    task_run_recorder.consumer = lambda **given: recording(**(given | {"flush_every": _FLUSH_EVERY_S}))
    server.Docket = server.background_worker = _nobody


@asynccontextmanager
async def _nobody(*_: object, **__: object) -> AsyncIterator[None]:
    yield


class _Unused(ModuleType):
    """A module of which only the names are wanted: to catch, to annotate with, to ask for an instance of."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        made = self._make(name)
        setattr(self, name, made)
        return made

    def _make(self, name: str) -> type:
        def refuse(self: Exception, *_: object, **__: object) -> None:
            raise RuntimeError(f"{type(self).__module__}.{name} is left out of this process")

        return type(name, (Exception,), {"__module__": self.__name__, "__init__": refuse})


class _Anything(type):
    """A class of which everything may be asked: what is made of it does nothing."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing


class _Idle(_Unused):
    """A module of whose names something is made, which nobody then uses."""

    def _make(self, name: str) -> type:
        def take(self: object, *_: object, **__: object) -> None: ...

        return _Anything(name, (), {"__module__": self.__name__, "__init__": take})


class _Json(_Unused):
    """A module of whose types the values are JSON objects."""

    def _make(self, name: str) -> type:  # noqa: ARG002 - whatever it is called
        return dict


def _put(module: ModuleType) -> None:
    sys.modules[module.__name__] = module
    parent, _, name = module.__name__.rpartition(".")
    if isinstance(sys.modules.get(parent), _Unused):
        setattr(sys.modules[parent], name, module)


def _module(name: str, **names: Any) -> None:
    module = ModuleType(name)
    vars(module).update(names)
    sys.modules[name] = module


def _nothing(*_: object, **__: object) -> None: ...


def _griffe() -> None:
    """Nobody reads here what a flow's or a block's docstring says."""

    class Docstring:
        def __init__(self, *_: object, **__: object) -> None: ...

    _module(
        "griffe",
        Docstring=Docstring,
        DocstringSection=Docstring,
        DocstringSectionKind=SimpleNamespace(parameters="", examples="", text=""),
        Parser=SimpleNamespace(google=""),
        parse=lambda *_, **__: [],
    )


def _openapi() -> None:
    """Nobody asks the server for a description of itself."""
    import pydantic

    pydantic.BaseModel.model_config["defer_build"] = True
    importlib.import_module("fastapi.openapi.models")
    del pydantic.BaseModel.model_config["defer_build"]
    from fastapi import APIRouter

    _module("prefect.server.api.automations", router=APIRouter())


def _context() -> None:
    """A server runs in no flow, and its settings are its environment's."""

    class Context:
        settings: Any = None
        now: Context | None = None

        @classmethod
        def get(cls) -> Context | None:
            if cls.now is None:
                from prefect.settings.models.root import Settings

                cls.now = cls()
                cls.now.settings = Settings()
            return cls.now

    class InNone:
        get = staticmethod(_nothing)

    names = dict.fromkeys(("FlowRunContext", "TaskRunContext", "RunContext"), InNone)
    _module("prefect.context", SettingsContext=Context, get_settings_context=Context.get, **names)


def _client() -> None:
    """Without a server nobody needs FastAPI but for one function; most models of the API are never made or read."""
    import pydantic
    from pydantic_core import to_jsonable_python

    sys.modules["httpx._main"] = None  # type: ignore[assignment] # it can do without: no command line
    _module("fastapi.encoders", jsonable_encoder=to_jsonable_python)
    pydantic.BaseModel.model_config["defer_build"] = True


def _settings() -> None:
    """Let settings tell their environment by their own values: Prefect renders all that is below each of them."""
    from prefect.settings.base import PrefectBaseSettings

    telling, dump, tell = (
        threading.local(),
        PrefectBaseSettings.model_dump,
        PrefectBaseSettings.to_environment_variables,
    )

    def own(self: PrefectBaseSettings, **how: Any) -> dict[str, Any]:
        if getattr(telling, "now", False):
            fields = type(self).model_fields
            how["exclude"] = {name for name in fields if isinstance(getattr(self, name), PrefectBaseSettings)}
        return dump(self, **how)

    def environment(self: PrefectBaseSettings, *args: Any, **how: Any) -> dict[str, str]:
        before, telling.now = getattr(telling, "now", False), True
        try:
            return tell(self, *args, **how)
        finally:
            telling.now = before

    PrefectBaseSettings.model_dump = own  # type: ignore[method-assign, assignment]
    PrefectBaseSettings.to_environment_variables = environment  # type: ignore[method-assign]
