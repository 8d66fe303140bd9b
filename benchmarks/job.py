"""What a contestant is asked to do, and what it answers. Standard library only: dlt's environment reads it too."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

STATES = ("open", "closed", "cancelled", "expired", "review")


@dataclass(frozen=True)
class Job:
    """Load the returns that changed from `start` to `end` (as Loop writes times) from the list at `url` into `store`."""

    url: str
    key: str
    start: str
    end: str
    store: str
    config: str = ""  # backhaul.toml, for Backhaul itself
    env: dict[str, str] = field(default_factory=dict)
    states: tuple[str, ...] = STATES
    folder: str = ""

    def params(self, state: str, end: str) -> dict[str, str]:
        """The query of one page, up to `end`."""
        return {"from": self.start, "to": end, "filter": "updated_at", "state": state, "paginate": "true", "pageSize": "750"}


@dataclass(frozen=True)
class Taken:
    """What it took: returns loaded, seconds of the clock and of the processor, and what else there is to say."""

    returns: int
    seconds: float
    cpu_s: float
    more: dict[str, float] = field(default_factory=dict)


def write_job(job: Job, file: Path) -> Path:
    """Leave a job in a file, since it holds keys that a command line would show."""
    file.write_text(json.dumps(asdict(job)))
    return file


def read_job(file: str) -> Job:
    """The job in a file."""
    held = json.loads(Path(file).read_text())
    return Job(**held | {"states": tuple(held["states"])})


def tell(taken: Taken) -> None:
    """Print the answer, on a line of its own."""
    print("TAKEN " + json.dumps(asdict(taken)), flush=True)


def heard(output: str) -> Taken:
    """The answer in a contestant's output. Raises ValueError when there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith("TAKEN "):
            return Taken(**json.loads(line.removeprefix("TAKEN ")))
    raise ValueError("the contestant said nothing")
