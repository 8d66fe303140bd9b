-- One row a merchant, source and way in which news comes: the last of it, how far it is taken in, and when that was last looked at.
WITH looked AS (
    SELECT merchant, max(finished_at) AS checked_at FROM runs WHERE flow = 'sync' AND state = 'completed' GROUP BY merchant
),
news AS (
    SELECT merchant, source, channel, max(received_at) AS last_news_at, max(occurred_at) AS watermark_at
    FROM events GROUP BY merchant, source, channel
    UNION ALL
    SELECT merchant, source, 'list', NULL, high_water_at FROM watermarks
)
SELECT
    n.merchant,  -- The merchant.
    n.source,  -- The vendor, or its report.
    n.channel,  -- list and poll (we ask), webhook (the vendor tells) or file.
    coalesce(n.last_news_at, n.watermark_at) AS last_news_at,  -- When its last news came.
    n.watermark_at,  -- The vendor's own newest time that was taken in.
    CASE WHEN n.channel IN ('list', 'poll') THEN l.checked_at END AS checked_at,  -- When it was last looked at, whether there was news or not: the last completed sync; null for what we do not ask for.
    {{ hours("coalesce(n.watermark_at, n.last_news_at)", now()) }} AS lag_hours,  -- Hours since the watermark, or the last news where the vendor gives no time.
    CASE WHEN n.channel IN ('list', 'poll') THEN {{ hours("l.checked_at", now()) }} END AS checked_hours_ago  -- Hours since it was last looked at.
FROM news n
LEFT JOIN looked l ON l.merchant = n.merchant
