-- One row a merchant, warehouse, month in which returns were started (UTC) and step: how long it took, in hours (nearest rank).
WITH steps AS (
    SELECT merchant, warehouse, {{ month("created_at") }} AS month, 'announce' AS step, hours_to_announce AS hours
    FROM recon_cycle_times WHERE hours_to_announce IS NOT NULL
    {% for step in ("label", "deliver", "receive", "decide", "tell", "finish") %}
    UNION ALL
    SELECT merchant, warehouse, {{ month("created_at") }}, '{{ step }}', hours_to_{{ step }}
    FROM recon_cycle_times WHERE hours_to_{{ step }} IS NOT NULL
    {% endfor %}
    UNION ALL
    SELECT merchant, warehouse, {{ month("created_at") }}, 'all', hours_in_all
    FROM recon_cycle_times WHERE hours_in_all IS NOT NULL
),
ranked AS (
    SELECT
        merchant, warehouse, month, step, hours,
        row_number() OVER (PARTITION BY merchant, warehouse, month, step ORDER BY hours) AS place,
        count(*) OVER (PARTITION BY merchant, warehouse, month, step) AS places
    FROM steps
)
SELECT
    merchant,  -- The merchant.
    warehouse,  -- The warehouse.
    month,  -- YYYY-MM in which the returns were started, UTC.
    step,  -- announce, label, deliver, receive, decide, tell, finish or all: the hours of recon_cycle_times.
    count(*) AS returns,  -- Returns that have come through the step.
    avg(hours) AS mean_hours,  -- Mean.
    max(CASE WHEN place = (places * 50 + 99) / 100 THEN hours END) AS p50_hours,  -- Median, nearest rank.
    max(CASE WHEN place = (places * 90 + 99) / 100 THEN hours END) AS p90_hours,  -- 90th percentile, nearest rank.
    max(CASE WHEN place = (places * 99 + 99) / 100 THEN hours END) AS p99_hours  -- 99th percentile, nearest rank.
FROM ranked
GROUP BY merchant, warehouse, month, step
