-- One row a merchant, warehouse, month in which returns were started (UTC) and step: how long it took, as of the last reconcile.
{% set chosen %}c.created_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM kept_months k WHERE k.merchant = c.merchant AND k.month = {{ month("c.created_at") }}
    ){% endset %}
SELECT
    m.merchant,  -- The merchant.
    m.warehouse,  -- The warehouse.
    m.month,  -- YYYY-MM in which the returns were started, UTC.
    m.step,  -- announce, label, deliver, receive, decide, tell, finish or all: the hours of recon_cycle_times.
    m.returns,  -- Returns that have come through the step.
    m.mean_hours,  -- Mean.
    m.p50_hours,  -- Median, nearest rank.
    m.p90_hours,  -- 90th percentile, nearest rank.
    m.p99_hours,  -- 99th percentile, nearest rank.
    k.kept_at AS as_of  -- The reconcile that worked the month out; null for a month that none has seen, which is worked out as it is asked for.
FROM monthly_times m
JOIN kept_months k ON k.merchant = m.merchant AND k.month = m.month
UNION ALL
SELECT live.*, NULL
FROM (
{% include "_months.sql" %}
) live
