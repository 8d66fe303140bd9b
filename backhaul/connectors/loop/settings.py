"""What a merchant's config says of its Loop account: the section `[merchants.NAME.loop]`."""

from __future__ import annotations

from pydantic import Field

from backhaul.connectors.settings import Section
from backhaul.secret import SecretRef
from backhaul.urls import BaseUrl


class LoopSettings(Section):
    """One merchant's Loop account."""

    base_url: BaseUrl
    api_key: SecretRef
    webhook_secret: SecretRef | None = None
    process_settle_seconds: int = Field(900, ge=0)
    outcome_hours: int = Field(24, ge=1)  # how long Loop may take for what a processed return owes; its times lag by hours
    first_sync_days: int = Field(7, ge=1, le=120)
    requests_per_minute: int = Field(300, ge=1)  # Loop's documented limit for one key
