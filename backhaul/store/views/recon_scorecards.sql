-- One row a merchant, warehouse, SKU, customer's reason, month in which returns were started (UTC) and currency: what was found, and its cost.
SELECT
    x.merchant,  -- The merchant.
    r.warehouse,  -- The warehouse.
    x.sku,  -- The SKU.
    l.return_reason,  -- The customer's reason; null for units that no line expected.
    {{ month("r.created_at") }} AS month,  -- YYYY-MM in which the returns were started, UTC.
    r.currency,  -- ISO code.
    sum(CASE WHEN x.line_item_id IS NOT NULL THEN 1 ELSE 0 END) AS units,  -- Lines, each of one unit.
    sum(CASE WHEN x.line_item_id IS NOT NULL AND x.condition = 'available' THEN 1 ELSE 0 END) AS available_units,  -- Those that arrived available.
    sum(CASE WHEN x.discrepancy = 'damaged' THEN 1 ELSE 0 END) AS damaged_units,  -- Those that arrived damaged.
    sum(CASE WHEN x.discrepancy = 'missing' THEN 1 ELSE 0 END) AS short_units,  -- Those that did not arrive, the RMA being finished.
    sum(CASE WHEN x.discrepancy = 'over' THEN x.units ELSE 0 END) AS over_units,  -- Units beyond those announced, of a SKU that was.
    sum(CASE WHEN x.discrepancy = 'unexpected' THEN x.units ELSE 0 END) AS unexpected_units,  -- Units of a SKU that was not announced.
    sum(CASE WHEN e.return_id IS NOT NULL AND x.line_item_id IS NOT NULL THEN 1 ELSE 0 END) AS corrected_units,  -- Lines of returns that the warehouse corrected after they were processed or flagged.
    {% filter money %}sum(CASE WHEN x.discrepancy = 'damaged' THEN {{ value }} ELSE 0 END){% endfilter %} AS damaged_value,  -- Price - discount + tax of the damaged lines.
    {% filter money %}sum(CASE WHEN x.discrepancy = 'missing' THEN {{ value }} ELSE 0 END){% endfilter %} AS short_value,  -- Price - discount + tax of the short lines.
    {% filter money %}sum(CASE WHEN e.return_id IS NOT NULL THEN {{ value }} ELSE 0 END){% endfilter %} AS corrected_value,  -- Price - discount + tax of the corrected lines.
    sum(CASE WHEN x.discrepancy = 'damaged' THEN 1.0 ELSE 0 END)
        / nullif(sum(CASE WHEN x.condition IN ('available', 'damaged') AND x.line_item_id IS NOT NULL THEN 1 ELSE 0 END), 0) AS damage_rate  -- Damaged of those that arrived and were inspected.
FROM matches x
JOIN returns r ON r.merchant = x.merchant AND r.return_id = x.return_id
LEFT JOIN return_lines l ON l.merchant = x.merchant AND l.return_id = x.return_id AND l.line_item_id = x.line_item_id
LEFT JOIN (
    SELECT DISTINCT merchant, return_id FROM exceptions WHERE kind IN ('correction_after_process', 'clean_after_flag')
) e ON e.merchant = x.merchant AND e.return_id = x.return_id
GROUP BY x.merchant, r.warehouse, x.sku, l.return_reason, {{ month("r.created_at") }}, r.currency
