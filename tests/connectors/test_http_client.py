"""The taxonomy of failures, against a real server on loopback."""

from __future__ import annotations

import gzip
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from backhaul.connectors.http import WRITE_PATIENCE, Budget, budget_for
from backhaul.errors import (
    BudgetSpentError,
    ConfigError,
    PermanentVendorError,
    RefusedError,
    ThrottledError,
    TransientVendorError,
    UnauthorizedError,
    VendorError,
)
from tests.connectors.vendor_server import SECRET, Answer, said


def refused_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def failed_write(http) -> VendorError:
    with pytest.raises(VendorError) as caught:
        http.write("POST", "/x", {"a": 1})
    assert SECRET not in str(caught.value)
    return caught.value


LATER = "nothing is lost, the next run goes on"


@pytest.mark.parametrize(
    ("answer", "failure", "way_out"),
    [
        (None, "ConnectError", f"check base_url, and that this machine reaches it; {LATER}"),
        (Answer(trick="hang"), "ReadTimeout, 0.2 s for a whole call", f"{LATER}; ask the vendor if it lasts"),
        (said({"message": "down"}, 503), "answered 503: down", f"{LATER}; ask the vendor if it lasts"),
    ],
)
def test_a_vendor_that_is_away_is_told_with_the_way_out(vendor, connect, answer, failure, way_out):
    if answer is not None:
        vendor.says(answer)
    http = connect(refused_url() if answer is None else vendor.url, timeout=0.2)
    for ask in (lambda: http.read("/x"), lambda: http.write("POST", "/x", {})):
        with pytest.raises(TransientVendorError) as caught:
            ask()
        assert str(caught.value).startswith("acme: loop: ") and failure in str(caught.value)
        assert str(caught.value).endswith(f"; {way_out}")


@pytest.mark.parametrize("trick", ["hang", "close", "reset", "truncate"])
def test_a_write_that_breaks_off_is_uncertain_and_made_once(vendor, connect, trick):
    vendor.says(Answer(trick=trick))
    error = failed_write(connect(vendor.url, timeout=0.2))
    assert isinstance(error, TransientVendorError) and error.is_certain is False
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        said({"message": "x"}, 500),
        said({"message": "x"}, 503),
        said({}, 408),
        Answer(b"<html>ok</html>", 200, {"Content-Type": "text/html"}),
        Answer(b"", 200),
        Answer(b'{"a": ', 200),
        Answer(b'<a href="/login">Found</a>.', 302, {"Location": "/login"}),
    ],
)
def test_a_write_with_no_clear_answer_is_uncertain_and_made_once(vendor, connect, answer):
    vendor.says(answer)
    error = failed_write(connect(vendor.url))
    assert isinstance(error, TransientVendorError) and error.is_certain is False
    assert len(vendor.requests) == 1


def test_a_write_that_never_connected_is_certain(connect):
    error = failed_write(connect(refused_url()))
    assert isinstance(error, TransientVendorError) and error.is_certain is True


def test_a_write_to_a_name_that_does_not_resolve_is_certain(connect):
    error = failed_write(connect("http://nowhere.invalid"))
    assert isinstance(error, TransientVendorError) and error.is_certain is True


def test_a_write_over_the_limit_is_certain_carries_retry_after_and_pauses_the_key(vendor, connect, fake_time):
    http = connect(vendor.url)
    vendor.says(said({"message": "Too Many Attempts."}, 429, Retry_After="7"), Answer())
    error = failed_write(http)
    assert isinstance(error, ThrottledError) and error.is_certain and error.retry_after == 7
    assert len(vendor.requests) == 1
    http.read("/y")
    assert sum(fake_time.slept) == 7


@pytest.mark.parametrize("status", [401, 403])
def test_an_unaccepted_key_names_the_vendor_merchant_scope_and_reference(vendor, connect, status):
    vendor.says(said({"error": {"code": "401", "http_code": "GEN-UNAUTHORIZED", "message": f"Unauthorized. {SECRET}"}}, status))
    http = connect(vendor.url)
    with pytest.raises(VendorError) as caught:
        http.read("/x")
    for error in (failed_write(http), caught.value):
        assert isinstance(error, UnauthorizedError)
        assert all(word in str(error) for word in ("loop", "acme", "returns", "env:ACME_KEY", "Unauthorized."))
        assert SECRET not in str(error)
    assert len(vendor.requests) == 2


def test_a_refusal_in_4xx_carries_the_vendors_code_and_words_without_mail_addresses(vendor, connect):
    vendor.says(said({"errors": {"code": "NOT_FOUND", "message": "No sam@example.com here. " + "x" * 500}}, 404))
    error = failed_write(connect(vendor.url))
    assert isinstance(error, RefusedError) and error.code == "NOT_FOUND"
    assert "No [e-mail] here." in str(error) and "sam@example.com" not in str(error) and len(str(error)) < 300


@pytest.mark.parametrize("status", [400, 404, 413])
def test_a_4xx_that_is_not_json_is_not_the_vendors_own_word_and_proves_nothing(vendor, connect, status):
    vendor.says(Answer(b"<html>nginx</html>", status))
    error = failed_write(connect(vendor.url))
    assert isinstance(error, TransientVendorError) and error.is_certain is False


def test_a_204_is_success_without_a_body(vendor, connect):
    vendor.says(Answer(b"", 204))
    assert connect(vendor.url).write("PUT", "/x", {}) == b""


def test_a_delete_carries_its_json_body(vendor, connect):
    connect(vendor.url).write("DELETE", "/rmas", [{"customer_identifier": "1"}])
    (request,) = vendor.requests
    assert request.method == "DELETE" and request.json == [{"customer_identifier": "1"}]
    assert request.headers["Content-Type"] == "application/json" and request.headers["Accept"] == "application/json"
    assert request.headers["X-Authorization"] == SECRET


@pytest.mark.parametrize(
    "failure",
    [
        said({}, 500),
        said({}, 408),
        said({}, 429),
        Answer(b"<html>", 200),
        Answer(b"<html>", 404),
        Answer(b"<a>Found</a>", 302, {"Location": "/api/elsewhere"}),
        Answer(b"not gzip", 200, {"Content-Encoding": "gzip"}),
        Answer(gzip.compress(b"[1]")[:-4], 200, {"Content-Encoding": "gzip"}),
        Answer(trick="close"),
        Answer(trick="reset"),
        Answer(trick="truncate"),
    ],
)
def test_a_read_is_repeated_after_a_passing_failure(vendor, connect, failure, fake_time):
    vendor.says(failure, failure, said([1]))
    http = connect(vendor.url)
    assert http.read("/x") == b"[1]"
    assert len(vendor.requests) == 3 == http.calls
    assert fake_time.slept


def test_a_read_gives_up_after_five_attempts_with_longer_and_longer_waits(vendor, connect, fake_time):
    vendor.says(said({"message": "down"}, 503))
    with pytest.raises(TransientVendorError, match="down"):
        connect(vendor.url).read("/x")
    assert len(vendor.requests) == 5
    assert [0.25 * 2**n <= slept <= 0.5 * 2**n for n, slept in enumerate(fake_time.slept)] == [True] * 4


def test_a_read_times_out_and_is_repeated(vendor, connect):
    vendor.says(Answer(trick="hang"), said({}))
    assert connect(vendor.url, timeout=0.2).read("/x") == b"{}"


@pytest.mark.parametrize(("asked", "waited"), [("30", 30), ("0", 0), ("99999", 120), ("-5", 0)])
def test_retry_after_in_seconds_is_honoured_and_capped(vendor, connect, fake_time, asked, waited):
    vendor.says(said({}, 503, Retry_After=asked), said({}))
    connect(vendor.url).read("/x")
    assert sum(fake_time.slept) == waited


def test_retry_after_is_honoured_under_shipbobs_name(vendor, connect, fake_time):
    vendor.says(said({}, 503, X_Retry_After="30"), said({}))
    connect(vendor.url).read("/x")
    assert sum(fake_time.slept) == 30


def test_retry_after_as_a_date_is_measured_on_the_vendors_own_clock(vendor, connect, fake_time):
    def respond(_):
        if len(vendor.requests) > 1:
            return said({})
        return said({}, 503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=45), usegmt=True))

    vendor.respond = respond
    connect(vendor.url).read("/x")
    assert 40 <= sum(fake_time.slept) <= 46


def test_an_unreadable_retry_after_falls_back_to_the_usual_wait(vendor, connect, fake_time):
    vendor.says(said({}, 503, Retry_After="soon"), said({}))
    connect(vendor.url).read("/x")
    assert 0.2 <= sum(fake_time.slept) <= 0.5


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_read_that_is_redirected_for_good_says_where_to_look_and_the_key_goes_nowhere(vendor, connect, status):
    vendor.says(Answer(b"<a>Found</a>", status, {"Location": "/api/elsewhere"}))
    with pytest.raises(TransientVendorError, match=r"redirect.*base_url"):
        connect(vendor.url).read("/x")
    assert {request.path for request in vendor.requests} == {"/api/x"}


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_read_the_vendor_will_not_serve_is_permanent_and_made_once(vendor, connect, status):
    vendor.says(said({"message": "The given data was invalid.", "errors": {"to": ["bad"]}}, status))
    with pytest.raises(PermanentVendorError, match=r"invalid\. \(to\)"):
        connect(vendor.url).read("/x")
    assert len(vendor.requests) == 1


def test_an_accepted_status_is_an_answer_only_in_json(vendor, connect):
    http = connect(vendor.url)
    vendor.says(said(False, 422), Answer(b"<html>", 422))
    assert http.fetch("/x", accept=(422,)).status == 422
    with pytest.raises(TransientVendorError):
        http.fetch("/x", accept=(422,))


def test_the_observer_hears_of_every_attempt(vendor, connect):
    heard = []
    http = connect(vendor.url, observe=lambda *call: heard.append(call))
    vendor.says(said({}, 500), said({}))
    http.read("/x", operation="list_returns")
    http.write("POST", "/y")
    assert [call[:3] for call in heard] == [("loop", "list_returns", 500), ("loop", "list_returns", 200), ("loop", "POST /y", 200)]
    with pytest.raises(TransientVendorError):
        connect(refused_url(), observe=lambda *call: heard.append(call)).write("POST", "/y")
    assert heard[-1][2] == 0


def test_the_key_is_in_no_repr_and_a_key_that_no_header_can_carry_is_named_by_reference_only(connect):
    assert SECRET not in repr(connect("http://127.0.0.1:1"))
    for broken in ("secret\nvalue", "sécret-value"):
        with pytest.raises(ConfigError, match="env:ACME_KEY") as caught:
            connect("http://127.0.0.1:1", headers={"X-Authorization": broken})
        assert "cret" not in str(caught.value)


def test_a_trailing_newline_of_a_key_is_dropped(vendor, connect):
    connect(vendor.url, headers={"X-Authorization": f"{SECRET}\n"}).read("/x")
    assert vendor.requests[0].headers["X-Authorization"] == SECRET


def test_a_budget_lets_no_sixty_seconds_hold_more_than_its_calls(fake_time):
    budget = Budget(3, sleep=fake_time.sleep, clock=fake_time.clock)
    made = []
    for pause in (0, 0, 59, 0, 0, 0, 10, 0, 0):
        fake_time.now += pause
        budget.spend()
        made.append(fake_time.now)
    assert all(later - earlier >= 60 for earlier, later in zip(made, made[3:], strict=False))
    assert made[:4] == [1000, 1000, 1059, 1060]


def test_a_write_does_not_queue_for_a_used_up_budget_longer_than_its_patience(vendor, connect, fake_time):
    budget = Budget(1, sleep=fake_time.sleep, clock=fake_time.clock)
    http = connect(vendor.url, budget=budget)
    http.write("POST", "/x")
    error = failed_write(http)
    assert isinstance(error, BudgetSpentError) and error.is_certain and error.retry_after == 60
    assert len(vendor.requests) == 1 and not fake_time.slept
    fake_time.now += 60 - WRITE_PATIENCE
    http.write("POST", "/x")
    assert fake_time.slept == [WRITE_PATIENCE]


def test_a_budget_shared_by_threads_is_never_overspent():
    lock, now, made = threading.Lock(), [0.0], []

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    budget = Budget(5, sleep=sleep, clock=lambda: now[0])

    def work() -> None:
        for _ in range(10):
            budget.spend()
            made.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 40 and now[0] >= 60 * 7


def test_everyone_on_a_key_shares_one_budget():
    assert budget_for("loop", "acme-1", 300) is budget_for("loop", "acme-1", 300)
    assert budget_for("loop", "acme-1", 300) is not budget_for("loop", "acme-2", 300)
    assert budget_for("loop", "acme-1", 300) is not budget_for("masonhub", "acme-1", 300)
