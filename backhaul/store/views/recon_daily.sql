-- One row a merchant, warehouse, currency and day on which returns were started (UTC): volumes, rates, and how long a decision took.
WITH base AS (
    SELECT
        r.merchant,
        r.warehouse,
        {{ day("r.created_at") }} AS day,
        -- a null equals no other, and must not lose its percentiles
        coalesce(r.currency, '') AS currency,
        d.decision,
        d.expected_units,
        d.available_units,
        d.damaged_units,
        d.missing_units,
        d.unexpected_units,
        r.return_total,
        CASE WHEN d.decision IN ('process', 'flag') AND NOT r.is_history THEN {{ days("r.created_at", "d.decided_at") }} * 24 END AS hours_to_decision
    FROM returns r
    LEFT JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
),
ranked AS (
    SELECT
        merchant, warehouse, day, currency, hours_to_decision,
        row_number() OVER (PARTITION BY merchant, warehouse, day, currency ORDER BY hours_to_decision) AS place,
        count(*) OVER (PARTITION BY merchant, warehouse, day, currency) AS places
    FROM base
    WHERE hours_to_decision IS NOT NULL
),
percentiles AS (
    SELECT
        merchant, warehouse, day, currency,
        max(CASE WHEN place = (places * 50 + 99) / 100 THEN hours_to_decision END) AS p50_hours_to_decision,
        max(CASE WHEN place = (places * 90 + 99) / 100 THEN hours_to_decision END) AS p90_hours_to_decision
    FROM ranked
    GROUP BY merchant, warehouse, day, currency
)
SELECT
    b.merchant,  -- The merchant.
    b.warehouse,  -- The warehouse.
    b.day,  -- The day (UTC) on which the returns were started, YYYY-MM-DD.
    nullif(b.currency, '') AS currency,  -- ISO code.
    count(*) AS returns,  -- Returns started.
    sum(b.expected_units) AS expected_units,  -- Lines, each of one unit.
    sum(b.available_units) AS available_units,  -- Those that arrived available.
    sum(b.damaged_units) AS damaged_units,  -- Those that arrived damaged.
    sum(b.missing_units) AS missing_units,  -- Those that did not arrive, the RMA being finished.
    sum(b.unexpected_units) AS unexpected_units,  -- Units that belong to no line.
    {% filter money %}sum(b.return_total){% endfilter %} AS return_total,  -- Value, in the row's currency.
    sum(CASE WHEN b.decision = 'process' THEN 1 ELSE 0 END) AS processed_returns,  -- Decided to process.
    sum(CASE WHEN b.decision = 'flag' THEN 1 ELSE 0 END) AS flagged_returns,  -- Decided to flag.
    sum(CASE WHEN b.decision IN ('wait', 'hold') THEN 1 ELSE 0 END) AS open_returns,  -- Decided to wait or to hold.
    sum(CASE WHEN b.decision = 'flag' THEN 1.0 ELSE 0.0 END)
        / nullif(sum(CASE WHEN b.decision IN ('process', 'flag') THEN 1 ELSE 0 END), 0) AS flag_rate,  -- Flagged of those decided; null when none is.
    sum(b.damaged_units) * 1.0 / nullif(sum(b.available_units + b.damaged_units), 0) AS damage_rate,  -- Damaged of the units that arrived and were inspected.
    sum(b.missing_units) * 1.0 / nullif(sum(b.expected_units), 0) AS missing_rate,  -- Missing of the units expected.
    max(p.p50_hours_to_decision) AS p50_hours_to_decision,  -- From the customer's start to our decision, nearest rank; history left out.
    max(p.p90_hours_to_decision) AS p90_hours_to_decision  -- From the customer's start to our decision, nearest rank; history left out.
FROM base b
LEFT JOIN percentiles p ON p.merchant = b.merchant AND p.warehouse = b.warehouse AND p.day = b.day AND p.currency = b.currency
GROUP BY b.merchant, b.warehouse, b.day, b.currency
