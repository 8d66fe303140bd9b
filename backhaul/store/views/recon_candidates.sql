-- Units that no line expected, each with the lines that may be theirs, best first: of the same SKU, not found yet, started before it came.
WITH units AS (
    SELECT
        m.merchant, m.warehouse, m.rma_key, CAST(NULL AS TEXT) AS return_id, 'blind' AS kind, y.sku, y.condition, y.units,
        m.package_id, m.manifest_id, coalesce(c.received_at, c.as_of, m.first_seen_at) AS found_at
    FROM rmas m
    JOIN receipt_lines y ON y.merchant = m.merchant AND y.rma_key = m.rma_key
    LEFT JOIN receipts c ON c.merchant = m.merchant AND c.rma_key = m.rma_key
    WHERE m.return_id IS NULL AND y.units > 0 AND NOT EXISTS (
        SELECT 1 FROM ties t WHERE t.merchant = y.merchant AND t.rma_key = y.rma_key AND t.sku = trim(y.sku)
    )
    UNION ALL
    SELECT
        x.merchant, r.warehouse, x.return_id, x.return_id, x.discrepancy, x.sku, x.condition, x.units,
        m.package_id, r.order_name, coalesce(c.received_at, c.as_of, r.first_seen_at)
    FROM matches x
    JOIN returns r ON r.merchant = x.merchant AND r.return_id = x.return_id
    LEFT JOIN rmas m ON m.merchant = x.merchant AND m.rma_key = x.return_id
    LEFT JOIN receipts c ON c.merchant = x.merchant AND c.rma_key = x.return_id
    WHERE x.line_item_id IS NULL AND x.discrepancy IN ('over', 'unexpected') AND NOT EXISTS (
        SELECT 1 FROM ties t WHERE t.merchant = x.merchant AND x.return_id IN (t.rma_key, t.return_id) AND t.sku = x.sku
    )
),
candidates AS (
    SELECT
        u.*, x.return_id AS candidate_return_id, x.line_item_id AS candidate_line_item_id, x.condition AS candidate_condition,
        r.order_name AS candidate_order_name, r.created_at AS candidate_created_at,
        CASE WHEN u.package_id = r.tracking_number THEN 4 ELSE 0 END
            + CASE WHEN {{ starts_with("u.manifest_id", "r.order_name") }} THEN 3 ELSE 0 END
            + CASE WHEN x.condition = 'missing' THEN 2 ELSE 1 END AS score
    FROM units u
    JOIN matches x ON x.merchant = u.merchant AND x.sku = u.sku AND x.condition IN ('awaited', 'missing') AND x.line_item_id IS NOT NULL
    JOIN returns r ON r.merchant = x.merchant AND r.return_id = x.return_id AND NOT r.is_history AND r.created_at <= u.found_at
    WHERE x.return_id <> coalesce(u.return_id, '')
),
ranked AS (
    SELECT
        c.*, row_number() OVER (
            PARTITION BY merchant, rma_key, sku, condition ORDER BY score DESC, candidate_created_at DESC, candidate_return_id, candidate_line_item_id
        ) AS place
    FROM candidates c
)
SELECT
    merchant,  -- The merchant.
    warehouse,  -- The warehouse that has the units.
    rma_key,  -- The RMA under which they came.
    return_id,  -- The return that it announces; null for a blind parcel.
    kind,  -- blind, over or unexpected.
    sku,  -- Their SKU.
    condition,  -- Their condition.
    units,  -- How many.
    found_at,  -- When they were received.
    place,  -- 1 is the likeliest.
    candidate_return_id,  -- The return that may lack them.
    candidate_line_item_id,  -- Its line.
    candidate_order_name,  -- Its order.
    candidate_condition,  -- awaited or missing.
    score,  -- 4 for the same tracking number, 3 for the same order, 2 for a line that is missing or 1 for one awaited.
    {{ hours("candidate_created_at", "found_at") }} AS hours_between  -- From the start of that return until they were found.
FROM ranked
WHERE place <= 10
