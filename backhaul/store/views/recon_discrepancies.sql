-- One row a return, SKU and kind of discrepancy, in units and money.
SELECT
    merchant,  -- The merchant.
    return_id,  -- The return.
    sku,  -- The SKU.
    discrepancy AS kind,  -- missing, damaged, pending, unverifiable, over or unexpected.
    sum(units) AS units,  -- How many.
    {% filter money %}sum(coalesce(price, 0) - coalesce(discount, 0) + coalesce(tax, 0)){% endfilter %} AS value,  -- Price − discount + tax of the lines; 0 for units that no line expected.
    currency,  -- ISO code of the row's money.
    order_name,  -- The order as the customer knows it.
    warehouse,  -- The warehouse.
    max(received_at) AS received_at  -- When the warehouse finished receiving.
FROM recon_lines
WHERE discrepancy IS NOT NULL
GROUP BY merchant, return_id, sku, discrepancy, currency, order_name, warehouse
