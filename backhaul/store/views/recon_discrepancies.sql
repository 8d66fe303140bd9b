-- One row a return, SKU and kind of discrepancy, in units and money.
SELECT
    merchant,
    return_id,
    sku,
    discrepancy AS kind,
    sum(units) AS units,
    {% filter money %}sum(coalesce(price, 0) - coalesce(discount, 0) + coalesce(tax, 0)){% endfilter %} AS value,
    currency,
    order_name,
    warehouse,
    max(received_at) AS received_at
FROM recon_lines
WHERE discrepancy IS NOT NULL
GROUP BY merchant, return_id, sku, discrepancy, currency, order_name, warehouse
