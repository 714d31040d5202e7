"""Modules that libraries bring along and a cleaner hardly ever uses: read when something of them is first asked for."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """A module that is empty until it is asked for something; `importlib.util.LazyLoader` reads it on import."""

    def __getattr__(self, name: str) -> Any:
        """Read the module: this is asked for what it does not have."""
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(self)
        return getattr(self, name)


def put_off(*names: str) -> None:
    """Let modules of these names be empty until somebody asks for what is in them; what is there already stays.

    To be called before what imports them: ``dataclasses`` brings the whole of ``inspect``, which takes 30 million
    instructions, to word the description of a class that has none.
    """
    for name in names:
        spec = None if name in sys.modules else find_spec(name)
        if spec is not None:
            module = module_from_spec(spec)
            module.__class__ = _Later
            sys.modules[name] = module
