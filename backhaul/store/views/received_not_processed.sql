-- Goods in, money not out: the warehouse has received every line as available, and Loop is still open.
SELECT
    r.merchant,  -- The merchant.
    r.warehouse,  -- The warehouse.
    r.return_id,  -- The return.
    r.order_name,  -- The order as the customer knows it.
    r.currency,  -- ISO code of the row's money.
    d.available_units AS units,  -- Units, all available.
    {% filter money %}(
        SELECT sum(coalesce(l.price, 0) - coalesce(l.discount, 0) + coalesce(l.tax, 0))
        FROM return_lines l WHERE l.merchant = r.merchant AND l.return_id = r.return_id
    ){% endfilter %} AS value,  -- Price − discount + tax of all its lines.
    c.received_at,  -- When the warehouse finished receiving.
    d.decision,  -- The decision that stands.
    d.reasons,  -- Why it is not processed yet.
    r.created_at  -- When the customer started the return.
FROM returns r
JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
JOIN receipts c ON c.merchant = r.merchant AND c.rma_key = r.return_id
WHERE r.loop_state = 'open' AND d.expected_units > 0 AND d.available_units = d.expected_units AND c.received_at IS NOT NULL
