"""What a merchant's config says of its Loop account: the section `[merchants.NAME.loop]`."""

from __future__ import annotations

from pydantic import Field

from backhaul.connectors.loop.endpoints import RETURNS
from backhaul.connectors.settings import FirstSection, Question, Section
from backhaul.secret import SecretRef, SecretRefs
from backhaul.urls import BaseUrl


class LoopSettings(Section):
    """One merchant's Loop account."""

    base_url: BaseUrl
    api_key: SecretRef
    webhook_secret: SecretRefs | None = None
    process_settle_seconds: int = Field(900, ge=0)
    outcome_hours: int = Field(24, ge=1)  # how long Loop may take for what a processed return owes; its times lag by hours
    first_sync_days: int = Field(7, ge=1, le=RETURNS.max_window.days)
    requests_per_minute: int = Field(300, ge=1)  # Loop's documented limit for one key


BASE_URL = "https://api.loopreturns.com/api/2026-07"  # v1 is an alias of this version; naming it keeps a change of version ours

FIRST = FirstSection(
    text="""\
[{where}]
base_url = {base_url}
# Needs the scopes Returns and Developer Tools.
api_key = {api_key}
webhook_secret = {webhook_secret}
# How far back the first sync looks, in days (from 1). Older returns come by 'backhaul backfill'.
first_sync_days = 7
# Loop only queues a process call: so long (in seconds) an uncertain one is left before it is looked at again.
process_settle_seconds = 900
""",
    secrets={
        "api_key": "Loop Admin > Developer Tools; scopes Returns and Developer Tools; all 40 characters",
        "webhook_secret": "shown on the same page",
    },
    questions=(Question("base_url", "--loop-url", f"Loop's base URL; {BASE_URL} unless told.", "Loop's base URL", BASE_URL),),
)
