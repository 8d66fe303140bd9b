-- Loop reasons that the config maps to no warehouse code, so that they went out as 'other'.
SELECT
    l.merchant,  -- The merchant.
    l.return_reason,  -- The reason, as Loop says it.
    count(*) AS lines,  -- Lines with it.
    count(DISTINCT l.return_id) AS returns,  -- Returns with it.
    min(r.created_at) AS first_seen_at,  -- When the first return with it was started.
    max(r.created_at) AS last_seen_at  -- When the last one was.
FROM return_lines l
JOIN returns r ON r.merchant = l.merchant AND r.return_id = l.return_id
LEFT JOIN reason_codes c ON c.merchant = l.merchant AND c.reason = l.reason_key
WHERE l.return_reason IS NOT NULL AND c.code IS NULL
GROUP BY l.merchant, l.return_reason
