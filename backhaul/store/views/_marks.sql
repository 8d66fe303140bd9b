-- For days before the first snapshot: how many returns came to a stage, and from which, by day, as far as decisions and deliveries tell.
WITH marks AS (
    SELECT r.return_id, r.warehouse, r.currency, r.first_seen_at AS at, CASE WHEN r.is_history THEN 'history' ELSE 'unannounced' END AS stage, 0 AS place
    FROM returns r WHERE r.merchant = :merchant
    UNION ALL
    SELECT r.return_id, r.warehouse, r.currency, w.announced_at, 'announced', 1
    FROM returns r JOIN whereabouts w ON w.merchant = r.merchant AND w.return_id = r.return_id
    WHERE r.merchant = :merchant AND NOT r.is_history AND w.announced_at IS NOT NULL
    UNION ALL
    SELECT
        r.return_id, r.warehouse, r.currency, d.assessed_at,
        CASE d.decision
            WHEN 'hold' THEN 'held' WHEN 'skip' THEN 'ended' WHEN 'wait' THEN 'receiving' ELSE 'decided'
        END, 2
    FROM returns r JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id
    WHERE r.merchant = :merchant AND NOT r.is_history
      AND (d.decision <> 'wait' OR d.available_units + d.damaged_units + d.pending_units > 0)
    UNION ALL
    SELECT r.return_id, r.warehouse, r.currency, w.told_at, 'flagged', 3
    FROM returns r
    JOIN whereabouts w ON w.merchant = r.merchant AND w.return_id = r.return_id
    JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current AND d.decision = 'flag'
    WHERE r.merchant = :merchant AND NOT r.is_history AND w.told_at IS NOT NULL
    UNION ALL
    SELECT r.return_id, r.warehouse, r.currency, w.confirmed_at, 'processed', 3
    FROM returns r JOIN whereabouts w ON w.merchant = r.merchant AND w.return_id = r.return_id
    WHERE r.merchant = :merchant AND NOT r.is_history AND w.confirmed_at IS NOT NULL
),
steps AS (
    SELECT m.*, lag(m.stage) OVER (PARTITION BY m.return_id ORDER BY m.at, m.place) AS before FROM marks m
)
SELECT warehouse, coalesce(currency, '') AS currency, {{ day("at") }} AS day, stage, before, count(*) AS returns
FROM steps GROUP BY warehouse, coalesce(currency, ''), {{ day("at") }}, stage, before
