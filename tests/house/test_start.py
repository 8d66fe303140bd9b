"""What a command imports before it does anything: help costs nothing, and who only reads loads no vendor's client."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from typer.main import get_group

from backhaul.cli.app import app
from backhaul.cli.commands import COMMANDS

CLI = Path(__file__).parents[2] / "backhaul/cli"
CONFIG = """
[store]
url = "sqlite:///{folder}/backhaul.db"
[merchants.acme]
warehouse = "masonhub"
[merchants.acme.loop]
base_url = "https://loop.example.com"
api_key = "env:ACME_LOOP_API_KEY"
[merchants.acme.masonhub]
base_url = "https://masonhub.example.com"
token = "env:ACME_MASONHUB_TOKEN"
"""
READING = (
    ["runs"],
    ["find", "1001"],
    ["show", "1001"],
    ["exceptions", "list"],
    ["quarantine", "list"],
    ["guard", "list"],
    ["version"],
)
HEAVY = {"alembic", "great_expectations", "httpx", "jinja2", "numpy", "pandas", "prefect", "psycopg"}
PROGRAM = """
import json, sys
from backhaul.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["backhaul", *words]
    try:
        main()
    except SystemExit:
        pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(*commands: list[str]) -> set[str]:
    """The packages that one process has loaded after these commands."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(commands)], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_next_to_nothing():
    assert loaded_by(["--help"]).isdisjoint(HEAVY | {"msgspec", "pydantic", "rich", "sqlalchemy"})


def test_a_command_that_only_reads_loads_no_client_and_none_of_the_heavy_libraries(tmp_path):
    config = tmp_path / "backhaul.toml"
    config.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    subprocess.run([sys.executable, "-c", PROGRAM, json.dumps([["--config", str(config), "db", "upgrade"]])], check=True)

    loaded = loaded_by(*(["--config", str(config), *words] for words in READING))

    assert "sqlalchemy" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_version_is_told_without_loading_more_than_help_does():
    assert loaded_by(["--version"]).isdisjoint(HEAVY | {"msgspec", "pydantic", "rich", "sqlalchemy"})


def test_every_command_is_listed_with_its_module_and_the_beginning_of_its_help():
    for module in CLI.glob("[a-z]*.py"):
        import_module(f"backhaul.cli.{module.stem}")
    registered = get_group(app).registered  # type: ignore[attr-defined]
    listed = {name: found for commands in COMMANDS.values() for name, found in commands.items()}

    assert listed.keys() == registered.keys()
    for name, (module, line) in listed.items():
        command = registered[name]
        assert (command.help or "").startswith(line), name
        one = next(iter(getattr(command, "commands", {name: command}).values()))
        assert one.callback.__module__ == f"backhaul.cli.{module}", name
