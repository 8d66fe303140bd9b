"""A batch of warehouse news becomes one record a row, whatever comes twice in it."""

import msgspec

from backhaul.connectors.base import ReceiptBatch
from backhaul.connectors.masonhub.normalise import normalise
from backhaul.pipeline.receiving import joined, records_of


def rma(units: int, updated_at: str) -> bytes:
    line = {"customer_sku_id": "TEE", "quantity": 2, "receiving_details": {"available": [{"quantity": units}]}}
    record = {"id": "a", "customer_identifier": "501", "status": "received", "updated_at": updated_at, "line_items": [line]}
    return msgspec.json.encode(record)


def batch(units: int, updated_at: str) -> ReceiptBatch:
    return normalise([rma(units, updated_at)])


def test_the_same_rma_twice_in_a_batch_keeps_its_units_apart() -> None:
    both = joined([batch(1, "2026-03-09T10:00:00Z"), batch(2, "2026-03-09T11:00:00Z")])
    assert [[line[5] for line in record.lines] for record in records_of(both)] == [[1], [2]]
