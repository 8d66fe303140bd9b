"""dlt on the same pages: run by the Python of dlt's own environment, `python -m benchmarks.contestant_dlt JOB`.

Settings after dlt's own performance guide: whole pages are yielded, the store's columns are declared, tables merge on the store's keys,
buffers are large, normalising has a process for each core, orjson is installed, and of the file formats that a destination takes
the fastest one measured is used (`FASTEST`). `as_documented` is that and no more; `tuned` puts code of our own before dlt.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from benchmarks.job import Job, Taken, read_job, tell

FASTEST = {("as_documented", "sqlite"): "typed-jsonl", ("tuned", "sqlite"): "parquet"}  # else csv, which is COPY
MERGE = {"disposition": "merge", "strategy": "delete-insert"}  # SQLite has no upsert, and PostgreSQL's fails on a row that two pages show
MONEY = (
    *("return_product_total", "return_discount_total", "return_tax_total", "return_total", "return_credit_total"),
    *("exchange_total", "gift_card", "handling_fee", "refund", "upsell"),
)
TIMES = ("created_at", "updated_at", "edited_at")
TEXTS = (
    *("id", "state", "order_id", "order_name", "outcome", "currency", "carrier", "tracking_number", "label_status"),
    *("destination_id", "was_processed"),
)
LINE_TEXTS = (
    *("return_id", "line_item_id", "sku", "barcode", "title", "product_id", "variant_id"),
    *("return_reason", "parent_return_reason", "outcome"),
)
LINE_MONEY = ("price", "discount", "tax", "refund")


def settings(folder: str) -> dict[str, str]:
    """dlt's configuration, as the environment variables that it reads."""
    return {
        "DLT_DATA_DIR": folder,
        "DLT_PROJECT_DIR": folder,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "NORMALIZE__WORKERS": str(os.cpu_count() or 1),
        "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
        "DATA_WRITER__FILE_MAX_ITEMS": "20000",  # several files, so that the workers share them
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
    }


def columns(texts: tuple[str, ...], money: tuple[str, ...], times: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Column hints: names and types, so that nothing is inferred."""
    amount: dict[str, Any] = {"data_type": "decimal", "precision": 18, "scale": 4}
    text, moment = {"data_type": "text"}, {"data_type": "timestamp"}
    return {
        name: {"name": name, "nullable": True, **kind}
        for names, kind in ((texts, text), (money, amount), (times, moment))
        for name in names
    }


def pages(job: Job) -> Iterator[list[dict[str, Any]]]:
    """Every page of every state, as the floor reads them."""
    import orjson
    import requests

    with requests.Session() as client:
        client.headers["X-Authorization"] = job.key
        for state in job.states:
            end, is_more = job.end, True
            while is_more:
                page = orjson.loads(client.get(job.url, params=job.params(state, end), timeout=60).content)
                yield page["returns"]
                is_more = bool(page["nextPageUrl"])
                end = page["returns"][-1]["updated_at"] if is_more else end


def load(job: Job, way: str, file_format: str) -> Taken:
    """Load every page by one pipeline run, `as_documented` or `tuned`."""
    os.environ.update(settings(job.folder))
    import dlt

    seen: set[str] = set()
    source = as_documented(job, seen) if way == "as_documented" else tuned(job, seen)
    started, cpu = time.perf_counter(), _cpu()
    pipeline = dlt.pipeline("bench", destination=_destination(job.store), dataset_name=_dataset(job.store))
    pipeline.run(source, loader_file_format=file_format)
    return Taken(len(seen), time.perf_counter() - started, _cpu() - cpu)


def as_documented(job: Job, seen: set[str]) -> Any:
    """dlt's own way: whole pages go in, it nests lines into a table of their own, its settings do the rest."""
    import dlt

    @dlt.resource(
        name="returns",
        primary_key="id",
        columns=columns(TEXTS, MONEY, TIMES),
        write_disposition=MERGE,
        max_table_nesting=1,
    )
    def returns() -> Iterator[list[dict[str, Any]]]:
        for page in pages(job):
            seen.update(record["id"] for record in page)
            yield page

    return returns


def tuned(job: Job, seen: set[str]) -> Any:
    """With code of our own before it: what is not wanted is dropped, and lines are a table of their own before dlt sees them."""
    import dlt

    wanted, wanted_of_line = (*TEXTS, *MONEY, *TIMES), (*LINE_TEXTS[1:], *LINE_MONEY, "returned_at")
    merge: dict[str, Any] = {"write_disposition": MERGE, "max_table_nesting": 0}

    @dlt.resource(selected=False)
    def loop_pages() -> Iterator[list[dict[str, Any]]]:
        yield from pages(job)

    @dlt.transformer(data_from=loop_pages, name="returns", primary_key="id", columns=columns(TEXTS, MONEY, TIMES), **merge)
    def returns(page: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        seen.update(record["id"] for record in page)
        yield [{name: _text(record.get(name), name) for name in wanted} for record in page]

    @dlt.transformer(
        data_from=loop_pages,
        name="return_lines",
        primary_key=["return_id", "line_item_id"],
        columns=columns(LINE_TEXTS, LINE_MONEY, ("returned_at",)),
        **merge,
    )
    def return_lines(page: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        yield [
            {"return_id": record["id"], **{name: _text(line.get(name), name) for name in wanted_of_line}}
            for record in page
            for line in record["line_items"]
        ]

    @dlt.source(name="loop")
    def source() -> Any:
        return loop_pages, returns, return_lines

    return source()


def _text(value: Any, name: str) -> Any:
    """Ids are texts in the store; an integer here and a text there would make dlt add a second column."""
    return str(value) if isinstance(value, int) and name not in MONEY else value


def _destination(store: str) -> Any:
    import dlt

    if store.startswith("postgresql"):
        url = urlsplit(store)  # dlt insists on a host and a password; the query's host, a socket's folder, is the one that counts
        return dlt.destinations.postgres(f"postgresql://{url.username or 'postgres'}:none@localhost{url.path}?{url.query}")
    return dlt.destinations.sqlalchemy(store)


def _dataset(store: str) -> str:
    return "public" if store.startswith("postgresql") else "main"


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


if __name__ == "__main__":
    job = read_job(sys.argv[1])
    way = sys.argv[2] if len(sys.argv) > 2 else "as_documented"
    tell(load(job, way, sys.argv[3] if len(sys.argv) > 3 else FASTEST.get((way, job.store.partition(":")[0]), "csv")))
