"""What goes on, on a terminal: one line on standard error that says what is waited for, and is gone at the end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backhaul import printable

if TYPE_CHECKING:
    from rich.status import Status


class _Shown(logging.Handler):
    """The program's own news, each in the place of the one before."""

    def __init__(self, line: Status) -> None:
        super().__init__(logging.INFO)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Show it; a warning stays where it was shown."""
        from rich.text import Text

        said = Text(printable.line(record.getMessage()))
        self._line.update(said)
        if record.levelno >= logging.WARNING:
            self._line.console.print(said)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Tell what goes on inside: the step, the returns so far, how long a vendor has us wait; only where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    logger = logging.getLogger("backhaul")
    level, propagates = logger.level, logger.propagate
    with Console(stderr=True, markup=False).status(what) as line:
        shown = _Shown(line)
        logger.addHandler(shown)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # Prefect's own handler would print each line besides
        try:
            yield
        finally:
            logger.removeHandler(shown)
            logger.setLevel(level)
            logger.propagate = propagates
