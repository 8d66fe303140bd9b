"""Sections of `backhaul.toml`, as every vendor's own `settings` begins."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from backhaul.urls import BaseUrl


class Section(BaseModel):
    """A table of the file. A key that is not known is refused, and no error shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WarehouseSection(Section):
    """One merchant's account at a warehouse: what the sync goes by at every one of them."""

    base_url: BaseUrl
    poll_calls_per_sync: int = Field(60, ge=2)  # at least one for keys and one for the warehouse's own list
    correction_days: int = Field(14, ge=0)
    requests_per_minute: int = Field(300, ge=1)
