-- One row a return line, and one for each group of units that no line expected (line_item_id null).
SELECT
    x.merchant,  -- The merchant.
    x.return_id,  -- The return.
    x.line_item_id,  -- The line; null for units that no line expected.
    x.sku,  -- The SKU.
    l.price,  -- Price of the unit; null for unexpected units.
    x.condition,  -- `available`, `damaged`, `pending`; for a line also `missing`, `awaited`, `unverifiable`.
    x.units,  -- 1 for a line; the number of units of an unexpected group.
    c.received_at,  -- When the warehouse finished receiving.
    x.discrepancy,  -- `missing`, `damaged`, `pending`, `unverifiable`, `over`, `unexpected`; null when all is well or the unit is awaited.
    l.discount,  -- Discount on the unit.
    l.tax,  -- Tax on the unit.
    l.refund,  -- Refund for the unit, its tax included.
    l.return_reason,  -- The reason, as Loop says it.
    l.title,  -- Product title.
    r.currency,  -- ISO code of the row's money.
    r.order_name,  -- The order as the customer knows it.
    r.warehouse,  -- The warehouse.
    r.created_at  -- When the customer started the return.
FROM matches x
JOIN returns r ON r.merchant = x.merchant AND r.return_id = x.return_id
LEFT JOIN return_lines l ON l.merchant = x.merchant AND l.return_id = x.return_id AND l.line_item_id = x.line_item_id
LEFT JOIN receipts c ON c.merchant = x.merchant AND c.rma_key = x.return_id
