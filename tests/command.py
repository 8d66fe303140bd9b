"""The `backhaul` command in this process: its imports take seconds in a new one."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from backhaul import cli
from backhaul.cli.app import Chosen


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """The command line from its arguments to its exit code."""
    said, complained, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(complained):
        patch.setattr(sys, "argv", ["backhaul", *map(str, words)])
        patch.setattr(Chosen, "told", set())
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, said.getvalue(), complained.getvalue())
