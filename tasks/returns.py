"""Steps on Loop returns: extract, keep what is news, check, load."""

from __future__ import annotations

from backhaul.pipeline import intake, pulling
from tasks.steps import step

pending_windows = step("plan-windows", pulling.pending_windows)
extract_returns = step("extract-returns", pulling.extract)
read_return = step("read-return", pulling.read_return, run_name="read-return {return_id}")
keep_news = step("keep-news", pulling.keep_news)
check_returns = step("check-returns", intake.check)
load_returns = step("load-returns", intake.load)
