-- Money out, goods not in: Loop has closed and processed the return, and lines are awaited, missing or damaged.
SELECT
    r.merchant,  -- The merchant.
    r.warehouse,  -- The warehouse.
    r.return_id,  -- The return.
    r.order_name,  -- The order as the customer knows it.
    r.currency,  -- ISO code of the row's money.
    count(*) AS units,  -- Lines concerned; `awaited_units + missing_units + damaged_units`.
    sum(CASE WHEN x.condition = 'awaited' THEN 1 ELSE 0 END) AS awaited_units,  -- Those not come yet.
    sum(CASE WHEN x.condition = 'missing' THEN 1 ELSE 0 END) AS missing_units,  -- Those that did not come, the RMA being finished.
    sum(CASE WHEN x.condition = 'damaged' THEN 1 ELSE 0 END) AS damaged_units,  -- Those that came damaged.
    {% filter money %}sum(coalesce(l.price, 0) - coalesce(l.discount, 0) + coalesce(l.tax, 0)){% endfilter %} AS value,  -- Price − discount + tax of those lines.
    r.created_at,  -- When the customer started the return.
    r.updated_at  -- Loop's own last change of the return.
FROM returns r
JOIN matches x ON x.merchant = r.merchant AND x.return_id = r.return_id
JOIN return_lines l ON l.merchant = x.merchant AND l.return_id = x.return_id AND l.line_item_id = x.line_item_id
WHERE r.loop_state = 'closed' AND r.is_paid AND x.condition IN ('awaited', 'missing', 'damaged')
GROUP BY r.merchant, r.warehouse, r.return_id, r.order_name, r.currency, r.created_at, r.updated_at
