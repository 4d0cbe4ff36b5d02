"""Starts RouteLLM's OpenAI-compatible server without torch, transformers, datasets and scikit-learn.

Its `random` router uses none of them, but `routellm.routers` imports them all. Stand-ins in their place measure the
server's path; memory and cold start are therefore a lower bound of a whole installation. The server binds to every
interface by itself: here it binds to the loopback.

python routellm_server.py ARGUMENTS-OF-routellm.openai_server
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import runpy
import sys
import types
from typing import Any

ABSENT = {"torch", "transformers", "datasets", "sklearn"}


class Anything:
    """A stand-in for every class and function: it can be subclassed, called and asked for attributes."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __init_subclass__(cls, **_: object) -> None: ...

    def __call__(self, *arguments: Any, **_: object) -> Any:
        return arguments[0] if arguments and callable(arguments[0]) else Anything()

    def __getattr__(self, name: str) -> Any:
        return attribute(name)


def attribute(name: str) -> Any:
    return Anything if name[:1].isupper() else Anything()


class StandIn(types.ModuleType):
    """A module in which every name exists."""

    __path__: list[str] = []  # noqa: RUF012 - what import machinery reads

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return attribute(name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for each absent module."""

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".", maxsplit=1)[0] in ABSENT:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None: ...


def main() -> None:
    sys.meta_path.insert(0, Finder())
    import uvicorn

    run = uvicorn.run
    uvicorn.run = lambda app, **options: run(
        app, **{**options, "host": "127.0.0.1", "workers": 1, "log_level": "warning"}
    )
    sys.argv[0] = "openai_server"
    runpy.run_module("routellm.openai_server", run_name="__main__")


if __name__ == "__main__":
    main()
