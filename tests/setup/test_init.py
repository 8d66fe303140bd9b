"""`backhaul init`: a file that loads, says why, holds no secret, and is never overwritten by accident."""

from __future__ import annotations

import io
import os
import pty
import select
import stat
import subprocess
import sys
import time

import pytest

from backhaul import config
from backhaul.connectors.registry import WAREHOUSES

MASONHUB = (
    "--merchant",
    "acme",
    "--warehouse",
    "masonhub",
    "--masonhub-slug",
    "demo_account",
    "--mode",
    "live",
    "--store",
    "sqlite:///x.db",
)
AIRHOUSE = ("--merchant", "bolt-uk", "--warehouse", "airhouse", "--airhouse-url", "https://api.example.com/v1", "--mode", "shadow")
SHIPBOB = ("--merchant", "cedar", "--warehouse", "shipbob", "--shipbob-channel-id", "433", "--shipbob-center-id", "21")

ANNOUNCE = {"masonhub": "on_created", "airhouse": "off", "shipbob": "on_label"}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "backhaul.toml"


@pytest.mark.parametrize("options", [MASONHUB, AIRHOUSE, SHIPBOB], ids=["masonhub", "airhouse", "shipbob"])
def test_what_init_writes_loads(file, run, options):
    done = run("init", *options)

    assert done.code == 0, done.err
    merchant = config.load(file).merchant(options[1])
    assert merchant.warehouse == options[3]
    assert merchant.loop.base_url == "https://api.loopreturns.com/api/2026-07"
    assert merchant.policy == config.PolicySettings(announce=ANNOUNCE[merchant.warehouse])


def test_the_flags_are_what_the_file_says(file, run):
    run("init", *MASONHUB, "--loop-url", "https://loop.example.com/api/2026-10/")

    settings = config.load(file)
    acme = settings.merchant("acme")
    assert (settings.store.url, acme.mode, acme.loop.base_url) == ("sqlite:///x.db", "live", "https://loop.example.com/api/2026-10")
    assert acme.masonhub is not None and acme.masonhub.base_url == "https://app.masonhub.co/demo_account/api/v1"


def test_without_a_mode_nothing_is_sent_to_loop_yet(file, run):
    run("init", "--merchant", "acme", "--masonhub-url", "https://sandbox.masonhub.co/demo/api/v1")

    acme = config.load(file).merchant("acme")
    assert acme.mode == "shadow"
    assert acme.masonhub is not None and acme.masonhub.base_url == "https://sandbox.masonhub.co/demo/api/v1"


def test_the_file_is_for_its_owner_only(file, run):
    previous = os.umask(0)
    try:
        run("init", *MASONHUB)
    finally:
        os.umask(previous)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["backhaul.toml"]


def test_a_file_that_is_there_stays_unless_forced(file, run):
    file.write_text("# mine\n")

    kept = run("init", *MASONHUB)
    assert kept.code == 2 and "--force" in kept.err
    assert file.read_text() == "# mine\n"

    assert run("init", *MASONHUB, "--force").code == 0
    assert config.load(file).merchants.keys() == {"acme"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_variable_that_the_file_refers_to_is_told(file, run):
    out = run("init", *MASONHUB).out

    referred = {word.strip('"').removeprefix("env:") for word in file.read_text().split() if word.startswith('"env:')}
    assert referred == {"ACME_LOOP_API_KEY", "ACME_LOOP_WEBHOOK_SECRET", "ACME_MASONHUB_TOKEN", "ACME_MASONHUB_CALLBACK_TOKEN"}
    assert all(f"export {name}=" in out for name in referred)
    assert "backhaul doctor" in out and "backhaul connect acme --public-url URL" in out


def test_a_store_url_with_a_password_becomes_a_reference(file, run):
    done = run("init", *MASONHUB[:-1], "postgresql+psycopg://backhaul:s3cret-word@db.example.com/backhaul")

    assert config.load(file).store.url == "env:BACKHAUL_STORE_URL"
    assert "s3cret-word" not in file.read_text() + done.out
    assert "export BACKHAUL_STORE_URL=" in done.out


def test_a_merchant_whose_name_starts_with_a_digit_has_variables_that_a_shell_takes(file, run):
    done = run("init", "--merchant", "3rd-floor", "--masonhub-slug", "demo")

    assert "export _3RD_FLOOR_LOOP_API_KEY=" in done.out


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--merchant", "Acme Inc", "--merchant"),
        ("--loop-url", "http://api.loopreturns.com/api/2026-07", "https"),
        ("--masonhub-slug", "demo/../x", "--masonhub-slug"),
        ("--warehouse", "depot", "--warehouse"),
    ],
)
def test_an_answer_that_cannot_be_used_writes_nothing(file, run, option, value, named):
    done = run("init", *MASONHUB, option, value)

    assert done.code == 2 and named in done.err
    assert os.listdir(file.parent) == []


@pytest.mark.parametrize(("missing", "options"), [("--merchant", ("--masonhub-slug", "demo")), ("--masonhub-slug", ("--merchant", "acme"))])
def test_without_a_terminal_a_missing_flag_is_named_not_asked_for(file, run, monkeypatch, missing, options):
    monkeypatch.setattr(sys, "stdin", io.StringIO("acme\n" * 9))

    done = run("init", *options)

    assert done.code == 2 and missing in done.err and not file.exists()


def test_another_file_is_written_where_config_says(file, run, tmp_path):
    other = tmp_path / "live.toml"

    done = run("--config", other, "init", *MASONHUB)

    assert config.load(other).merchants.keys() == {"acme"} and not file.exists()
    assert f"export BACKHAUL_CONFIG={other}" in done.out


def test_a_folder_that_does_not_exist_is_told(run, tmp_path):
    done = run("--config", tmp_path / "none" / "backhaul.toml", "init", *MASONHUB)

    assert done.code == 2 and "cannot be written" in done.err


def test_on_a_terminal_it_asks_for_what_no_flag_tells(file):
    script = (
        "import sys; from backhaul.cli import main; sys.argv = ['backhaul', 'init', '--loop-url', 'https://loop.example.com/v']; main()"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs, cwd=file.parent) as asked:
        os.close(theirs)
        shown = ""
        for question, answer in (
            ("Merchant", "acme"),
            ("Warehouse", ""),
            ("Mode", "maybe"),
            ("one of shadow, live", "live"),
            ("slug", "demo"),
            ("Store", ""),
        ):
            shown = read_until(ours, question)
            os.write(ours, f"{answer}\n".encode())
        read_until(ours, "points the vendors there")
        assert asked.wait(timeout=300) == 0, shown
    os.close(ours)

    acme = config.load(file).merchant("acme")
    assert (acme.warehouse, acme.mode, acme.loop.base_url) == ("masonhub", "live", "https://loop.example.com/v")


def read_until(terminal: int, words: str) -> str:
    """What the terminal shows, up to these words and the prompt's colon after them."""
    shown, deadline = "", time.monotonic() + 300
    while words not in shown or not shown.rstrip().endswith((":", "there")):
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 4096).decode()
            except OSError:  # the other side is closed
                return shown
    return shown


def test_every_warehouse_that_there_is_has_been_tried_here():
    assert ANNOUNCE.keys() == WAREHOUSES.keys()


def test_a_shipbob_merchant_begins_in_shadow_with_its_contract_unsaid(file, run):
    run("init", *SHIPBOB)

    cedar = config.load(file).merchant("cedar")
    assert cedar.mode == "shadow"
    assert (cedar.shipbob.channel_id, cedar.shipbob.fulfillment_center_id, cedar.shipbob.assumed_contract) == (433, 21, False)
    assert "# assumed_contract = true" in file.read_text()


def test_a_shipbob_merchant_cannot_begin_live(file, run):
    done = run("init", *SHIPBOB, "--mode", "live")

    assert done.code == 2 and "assumed_contract" in done.err and not file.exists()


def test_a_merchant_is_added_to_a_file_that_is_there_and_all_else_stays(file, run):
    run("init", *MASONHUB)
    mine = "# acme's own words\n" + file.read_text().removesuffix("\n")  # whoever edited it left the last line open
    file.write_text(mine)
    file.chmod(0o640)

    done = run("init", *SHIPBOB)

    assert done.code == 0 and "Added cedar" in done.out
    assert "ACME_" not in done.out and "export CEDAR_SHIPBOB_TOKEN=" in done.out
    assert file.read_text().startswith(mine + "\n")
    assert config.load(file).merchants.keys() == {"acme", "cedar"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_merchant_that_is_there_is_not_added_again(file, run):
    run("init", *MASONHUB)
    before = file.read_text()

    done = run("init", "--merchant", "acme", *AIRHOUSE[2:])

    assert done.code == 2 and "acme" in done.err and "--force" in done.err
    assert file.read_text() == before


def test_a_store_is_not_told_to_a_file_that_has_one(file, run):
    run("init", *MASONHUB)
    before = file.read_text()

    done = run("init", *AIRHOUSE, "--store", "sqlite:///other.db")

    assert done.code == 2 and "--store" in done.err and file.read_text() == before


def test_what_would_not_load_is_not_added(file, run):
    run("init", *MASONHUB)
    before = file.read_text()

    done = run("init", *AIRHOUSE[:-4], "--airhouse-url", "http://api.example.com/v1")

    assert done.code == 2 and "https" in done.err and file.read_text() == before
    assert os.listdir(file.parent) == ["backhaul.toml"]
