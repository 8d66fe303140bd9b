"""Modules that are imported when a function of theirs is first called: who knows of every vendor need not load every vendor's client."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


class Late:
    """A module by its name. Every attribute is taken for a function."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, function: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(import_module(self._name), function)(*arguments, **options)

        return call
