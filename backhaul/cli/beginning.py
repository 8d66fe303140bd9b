"""`backhaul init`: the config file, or another merchant in it. What a vendor has to be asked is its own to say (the registry)."""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, get_type_hints

import typer

from backhaul import config
from backhaul.cli.app import Chosen, app
from backhaul.cli.output import say
from backhaul.connectors.loop.vendor import LOOP
from backhaul.connectors.registry import VENDORS, WAREHOUSES
from backhaul.connectors.settings import Question
from backhaul.errors import ConfigError
from backhaul.setup import first_config


class _Mode(StrEnum):
    shadow = "shadow"
    live = "live"


def _as_name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _with_questions(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the warehouses that there are as its choices, and an option for each question that a vendor asks."""
    asked = [question for vendor in VENDORS.values() for question in vendor.first.questions]
    hints = get_type_hints(command, include_extras=True)
    hints["warehouse"] = Annotated[Literal[tuple(WAREHOUSES)] | None, typer.Option(help="Where the parcels go.")]
    hints |= {_as_name(one.option): Annotated[str | None, typer.Option(one.option, help=one.help)] for one in asked}
    own = inspect.signature(command).parameters
    defaults = {name: one.default for name, one in own.items() if one.kind is not one.VAR_KEYWORD}
    defaults |= {_as_name(one.option): None for one in asked}
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in defaults.items()
    ]
    command.__annotations__ = hints
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    return command


@app.command()
@_with_questions
def init(
    merchant: Annotated[str | None, typer.Option(help="A short name: small letters, digits, - and _.")] = None,
    warehouse: str | None = None,
    store: Annotated[str | None, typer.Option(help="The store's URL; sqlite:///backhaul.db unless told.")] = None,
    mode: Annotated[_Mode | None, typer.Option(help="shadow (unless told) sends Loop nothing; live acts.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    **told: Any,
) -> None:
    """Write a commented backhaul.toml, or add a merchant to the one there is. Asks on a terminal for what no option tells."""
    file = config.config_path(Chosen.config)
    known = None if force else first_config.known_merchants(file)
    if known is not None and store is not None:
        raise ConfigError(f"--store: {file} is there and says where the store is; leave the option out to add a merchant to it")
    name = merchant or _ask("--merchant", "Merchant, as a short name")
    if known is not None and name in known:
        raise ConfigError(f"{file} has a merchant {name} already and was left as it is; --merchant adds another, --force replaces the file")
    chosen = warehouse or _ask("--warehouse", f"Warehouse ({_either(WAREHOUSES)})", next(iter(WAREHOUSES)), choices=list(WAREHOUSES))
    answers = first_config.Answers(
        merchant=name,
        warehouse=chosen,
        mode=mode.value if mode else _ask("--mode", "Mode (shadow sends Loop nothing, live acts)", "shadow", choices=list(_Mode)),
        fields={vendor: _fields(VENDORS[vendor].first.questions, told) for vendor in (LOOP.name, chosen)},
        store_url="" if known is not None else store or _ask("--store", "Store", "sqlite:///backhaul.db"),
    )
    if known is None:
        first_config.write(file, answers)
    else:
        first_config.add(file, answers)
    _tell_next(str(file), answers, is_new=known is None)


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


def _fields(questions: Sequence[Question], told: Mapping[str, str | None]) -> dict[str, str | int]:
    """The fields that the questions are about, as options tell them, else as a terminal or the default answers."""
    found: dict[str, str | int] = {}
    for one in questions:
        if one.field not in found and (said := told[_as_name(one.option)]):
            try:
                found[one.field] = one.read(said)
            except ValueError as error:
                raise ConfigError(f"{one.option}: {error}") from None
    for one in questions:
        if one.field not in found and one.asks is not None:
            found[one.field] = _ask(one.option, one.asks, one.default, read=one.read)
        elif one.field not in found and one.default is not None:
            found[one.field] = one.default
    return found


def _ask(option: str, question: str, default: str | None = None, *, choices: Sequence[str] = (), read: Callable[[str], Any] = str) -> Any:
    """Ask on a terminal, again for what cannot be read. Elsewhere the default answers; ConfigError where there is none."""

    def taken(answer: str) -> Any:
        answer = answer.strip()
        if choices and answer not in choices:
            raise typer.BadParameter(f"one of {', '.join(choices)}")
        try:
            return read(answer)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    if sys.stdin.isatty():
        return typer.prompt(question, default=default, value_proc=taken)
    if default is None:
        raise ConfigError(f"{option} is missing, and there is no terminal to ask on")
    return read(default)


def _tell_next(file: str, answers: first_config.Answers, *, is_new: bool) -> None:
    done = f"Wrote {file}, readable by you only." if is_new else f"Added {answers.merchant} to {file}; the rest of it is as it was."
    say(f"{done}\n\nIt refers to these environment variables. Export them where Backhaul runs:\n")
    for name, source in answers.variables():
        say(f"  export {name}=...   # {source}")
    if is_new and answers.store_reference != answers.store_url:
        say(f"  export {first_config.STORE_VARIABLE}=...   # the store's URL, which holds a password and so is not in the file")
    if file != config.DEFAULT_PATH:
        say(f"  export BACKHAUL_CONFIG={shlex.quote(os.path.abspath(file))}   # where this file is")
    say("\nThen:\n")
    for command, purpose in (
        ("db upgrade", "makes the store"),
        ("doctor", "says what is missing, and how to put it right"),
        (f"sync {answers.merchant}", "pulls, checks and decides"),
        ("serve", "receives webhooks, behind TLS at a URL of yours"),
        (f"connect {answers.merchant} --public-url URL", "points the vendors there"),
    ):
        say(f"  backhaul {command:<40} {purpose}")
    say()
    if answers.mode == "shadow":
        say('In shadow mode Loop is sent nothing. When its decisions convince you, set mode = "live".')
