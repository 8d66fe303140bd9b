-- How many exceptions were opened, and how many were over, by day.
WITH changes AS (
    SELECT e.return_id, {{ day("e.opened_at") }} AS day, 1 AS change FROM exceptions e WHERE e.merchant = :merchant
    UNION ALL
    SELECT e.return_id, {{ day("e.resolved_at") }}, -1 FROM exceptions e WHERE e.merchant = :merchant AND e.resolved_at IS NOT NULL
)
SELECT coalesce(r.warehouse, '') AS warehouse, coalesce(r.currency, '') AS currency, c.day, sum(c.change) AS change
FROM changes c LEFT JOIN returns r ON r.merchant = :merchant AND r.return_id = c.return_id
GROUP BY coalesce(r.warehouse, ''), coalesce(r.currency, ''), c.day
