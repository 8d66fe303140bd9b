-- Goods in, money not out: the warehouse has received every line as available, and Loop is still open.
SELECT
    r.merchant,
    r.warehouse,
    r.return_id,
    r.order_name,
    r.currency,
    d.available_units AS units,
    {% filter money %}(
        SELECT sum(coalesce(l.price, 0) - coalesce(l.discount, 0) + coalesce(l.tax, 0))
        FROM return_lines l WHERE l.merchant = r.merchant AND l.return_id = r.return_id
    ){% endfilter %} AS value,
    c.received_at,
    d.decision,
    d.reasons,
    r.created_at
FROM returns r
JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
JOIN receipts c ON c.merchant = r.merchant AND c.rma_key = r.return_id
WHERE r.loop_state = 'open' AND d.expected_units > 0 AND d.available_units = d.expected_units AND c.received_at IS NOT NULL
