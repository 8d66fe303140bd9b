"""Loop's shipping notice (the ASN report), a second source of expected units, held against the list of returns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from backhaul.connectors.loop.answers import AsnRow
from backhaul.domain.windows import Window
from backhaul.domain.words import ExceptionKind
from backhaul.errors import StructuralError, UnauthorizedError, VendorError
from backhaul.pipeline.session import Session
from backhaul.store.exceptions import open_subjects, raise_exception, resolve_exception
from backhaul.store.quarantine import held_keys
from backhaul.store.returns import lines_of

_KINDS = (ExceptionKind.ASN_ONLY, ExceptionKind.ASN_MISMATCH)


def compare_window(session: Session, window: Window) -> None:
    """Hold the shipping notice of a window's days against the list."""
    compare(session, window, pull(session, window))


def pull(session: Session, window: Window) -> list[AsnRow]:
    """The shipping notice of the window's days. It is a second source: when it cannot be read, the run says so and goes on."""
    try:
        return session.loop.asn(window.start.date(), window.end.date())
    except UnauthorizedError:
        raise
    except (VendorError, StructuralError):
        session.run.add("asn_unavailable")
        return []


def compare(session: Session, window: Window, rows: Iterable[AsnRow]) -> None:
    """Raise an exception for each return that only the notice knows, and for each line of a known return that the list does not show.

    Only rows that Loop says changed inside the window are judged, since those outside it were never asked for; and none whose return is in
    quarantine, since it is not unknown. `report_id` may be the return's id or not (docs/vendors/loop.md, 6.3), so orders are looked up too.
    """
    groups: defaultdict[str, list[AsnRow]] = defaultdict(list)
    for row in rows:
        if row.updated_at is not None and window.start <= row.updated_at < window.end and row.report_id and row.line_item_id:
            groups[row.report_id].append(row)
    known, held, open_now = _known(session, groups)
    unknown = {subject: [row for row in group if row.line_item_id not in known] for subject, group in groups.items() if subject not in held}
    news = {subject: missing for subject, missing in unknown.items() if missing or subject in open_now}
    if news:
        _write(session, news, groups, known)


def _known(session: Session, groups: dict[str, list[AsnRow]]) -> tuple[dict[str, str], set[str], set[str]]:
    """Stored lines (line id -> return id) of the returns and orders named, what is in quarantine, and what is an open exception already."""
    names = sorted({row.order_name for group in groups.values() for row in group if row.order_name})
    with session.store.read() as connection:
        return (
            lines_of(connection, session.merchant, list(groups), names),
            held_keys(connection, session.merchant),
            open_subjects(connection, session.merchant, *_KINDS),
        )


def _write(session: Session, news: dict[str, list[AsnRow]], groups: dict[str, list[AsnRow]], known: dict[str, str]) -> None:
    with session.write() as tx:
        for subject, missing in news.items():
            return_id = next((known[row.line_item_id] for row in groups[subject] if row.line_item_id in known), None)
            kind = ExceptionKind.ASN_ONLY if return_id is None else ExceptionKind.ASN_MISMATCH
            for other in _KINDS:
                if other is not kind or not missing:
                    resolve_exception(tx, other, subject)
            if missing:
                lines = ", ".join(sorted(str(row.line_item_id) for row in missing)[:5])
                of = f"of order {groups[subject][0].order_name or 'without a name'}"
                why = f"the shipping notice names lines {of} that no state of the list shows: {lines}"
                raise_exception(tx, kind, subject, why, return_id or subject)
                session.run.add("asn_unknown_lines", len(missing))
