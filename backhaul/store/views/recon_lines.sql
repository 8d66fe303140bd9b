-- One row a return line, and one for each group of units that no line expected (line_item_id null).
SELECT
    x.merchant,
    x.return_id,
    x.line_item_id,
    x.sku,
    l.price,
    x.condition,
    x.units,
    c.received_at,
    x.discrepancy,
    l.discount,
    l.tax,
    l.refund,
    l.return_reason,
    l.title,
    r.currency,
    r.order_name,
    r.warehouse,
    r.created_at
FROM matches x
JOIN returns r ON r.merchant = x.merchant AND r.return_id = x.return_id
LEFT JOIN return_lines l ON l.merchant = x.merchant AND l.return_id = x.return_id AND l.line_item_id = x.line_item_id
LEFT JOIN receipts c ON c.merchant = x.merchant AND c.rma_key = x.return_id
