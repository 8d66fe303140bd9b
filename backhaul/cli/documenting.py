"""The command that shows the documentation: the pages that stand in `docs/`, which the package brings with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backhaul.cli.app import Json, app
from backhaul.cli.output import print_json, say
from backhaul.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "docs", _PACKAGE.parent / "docs")  # as a wheel has it, and as the repository has it


def _pages() -> dict[str, Path]:
    """Every page by its topic: its name below `docs/`, without its ending."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
    return {str(page.relative_to(folder).with_suffix("")): page for page in sorted(folder.rglob("*.md"))}


@app.command()
def docs(
    topic: Annotated[str | None, typer.Argument(help="A page, as the list names it; the list when it is not given.")] = None,
    as_json: Json = False,
) -> None:
    """Read the documentation: its pages by name, or one of them."""
    pages = _pages()
    if topic is not None:
        if topic not in pages:
            raise ConfigError(f"no page {topic!r}; 'backhaul docs' lists those there are")
        say(pages[topic].read_text(encoding="utf-8").rstrip())
        return
    titles = {name: page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for name, page in pages.items()}
    if as_json:
        print_json([{"topic": name, "title": title} for name, title in titles.items()])
        return
    for name, title in titles.items():
        if not name.startswith("decisions/"):
            say(f"{name:<22} {title}")
    say(f"{'decisions/NUMBER-…':<22} Why it is as it is: {sum(name.startswith('decisions/') for name in titles)} pages, named by --json")
