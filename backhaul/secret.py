"""Secrets as references (`env:NAME`, `block:NAME`), resolved at the moment of use and never kept in a model, a log or an error."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from backhaul.errors import ConfigError


def _reference(value: str) -> str:
    scheme, _, name = value.partition(":")
    if scheme not in ("env", "block") or not name:
        raise ValueError("a secret is a reference, env:NAME or block:NAME, never the secret itself")
    return value


def _references(value: object) -> tuple[str, ...]:
    named = (value,) if isinstance(value, str) else value
    if not isinstance(named, list | tuple) or not all(isinstance(one, str) for one in named) or len(named) not in (1, 2):
        raise ValueError("a secret is a reference, or a list of two while it is rotated, the new one first")
    return tuple(_reference(one) for one in named)


SecretRef = Annotated[str, AfterValidator(_reference)]
SecretRefs = Annotated[tuple[str, ...], BeforeValidator(_references)]  # one, or two while it is rotated: the new one first


def resolve(reference: str, where: str) -> SecretStr:
    """The secret behind a reference. Raises ConfigError that names the reference, never the secret."""
    scheme, _, name = reference.partition(":")
    if scheme == "env":
        value = os.environ.get(name, "")
        if not value:
            raise ConfigError(f"{where}: {reference} is not set; export {name}, or point the reference elsewhere")
        return SecretStr(value)
    from prefect.blocks.system import Secret  # costs seconds, and only blocks need it

    try:
        return SecretStr(str(Secret.load(name).get()))  # type: ignore[union-attr]
    except Exception as error:
        raise ConfigError(f"{where}: {reference} cannot be loaded ({error.__class__.__name__}); create the block, or use env:") from None
