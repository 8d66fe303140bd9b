-- One row a merchant, warehouse, currency and day on which returns were started (UTC): volumes, rates, and how long a decision took.
WITH base AS (
    SELECT
        r.merchant,
        r.warehouse,
        {{ day("r.created_at") }} AS day,
        r.currency,
        d.decision,
        d.expected_units,
        d.available_units,
        d.damaged_units,
        d.missing_units,
        d.unexpected_units,
        r.return_total,
        CASE WHEN d.decision IN ('process', 'flag') AND NOT r.is_history THEN {{ hours("r.created_at", "d.decided_at") }} END AS hours_to_decision
    FROM returns r
    LEFT JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
),
ranked AS (
    SELECT
        b.*,
        row_number() OVER (PARTITION BY merchant, warehouse, day, currency ORDER BY hours_to_decision NULLS LAST) AS place,
        count(hours_to_decision) OVER (PARTITION BY merchant, warehouse, day, currency) AS places
    FROM base b
)
SELECT
    b.merchant,  -- The merchant.
    b.warehouse,  -- The warehouse.
    b.day,  -- The day (UTC) on which the returns were started, YYYY-MM-DD.
    b.currency,  -- ISO code.
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
    max(CASE WHEN b.place = (b.places * 50 + 99) / 100 THEN b.hours_to_decision END) AS p50_hours_to_decision,  -- From the customer's start to our decision, nearest rank; history left out.
    max(CASE WHEN b.place = (b.places * 90 + 99) / 100 THEN b.hours_to_decision END) AS p90_hours_to_decision  -- From the customer's start to our decision, nearest rank; history left out.
FROM ranked b
GROUP BY b.merchant, b.warehouse, b.day, b.currency
