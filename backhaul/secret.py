"""Secrets as references (`env:NAME`, `block:NAME`), resolved at the moment of use and never kept in a model, a log or an error."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from backhaul.errors import ConfigError


def _reference(value: str) -> str:
    scheme, _, name = value.partition(":")
    if scheme not in ("env", "block") or not name:
        raise ValueError("a secret is a reference, env:NAME or block:NAME, never the secret itself")
    return value


SecretRef = Annotated[str, AfterValidator(_reference)]


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
