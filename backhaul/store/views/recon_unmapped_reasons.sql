-- Loop reasons that the config maps to no warehouse code, so that they went out as 'other'.
SELECT
    l.merchant,
    l.return_reason,
    count(*) AS lines,
    count(DISTINCT l.return_id) AS returns,
    min(r.created_at) AS first_seen_at,
    max(r.created_at) AS last_seen_at
FROM return_lines l
JOIN returns r ON r.merchant = l.merchant AND r.return_id = l.return_id
LEFT JOIN reason_codes c ON c.merchant = l.merchant AND c.reason = l.reason_key
WHERE l.return_reason IS NOT NULL AND c.code IS NULL
GROUP BY l.merchant, l.return_reason
