"""What `backhaul export` takes, in memory and processor time, for a million rows of `recon_returns`: each format, on both databases.

`python -m benchmarks.exports [COUNT]`. Each export is the real command in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from backhaul.store.engine import Store
from benchmarks.surroundings import DATABASES, folder
from benchmarks.views import fill

# The kernel's own high water of this program's memory; that of getrusage begins with what the parent had.
PROGRAM = """
import atexit, resource
def told():
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(peak, used.ru_utime + used.ru_stime)
atexit.register(told)
from backhaul.cli import main
main()
"""
CONFIG = """[store]
url = "{url}"
[merchants]
"""


def taken(url: str, file_format: str, where: Path) -> tuple[float, float, float]:
    """Peak memory in MiB, processor time in seconds, and the file's size in MiB."""
    config, out = where / "backhaul.toml", where / "out"
    config.write_text(CONFIG.format(url=url))
    words = ["--config", str(config), "export", "recon_returns", "--format", file_format, "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], check=True, capture_output=True, text=True)
    peak, seconds = map(float, done.stdout.split())
    return peak / 1024, seconds, out.stat().st_size / 2**20


def main(count: int) -> None:
    """Print a table."""
    for name, database in DATABASES.items():
        with database() as fresh, folder() as path:
            store = Store(fresh(path)).ready()
            fill(store, count)
            url = store.engine.url.render_as_string(hide_password=False)
            store.close()
            for file_format in ("csv", "jsonl", "parquet"):
                peak, seconds, size = taken(url, file_format, path)
                print(f"{name:<11}{count:>10,} rows  {file_format:<8}{peak:>6.0f} MiB{seconds:>8.1f} s{size:>8.0f} MiB written", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
