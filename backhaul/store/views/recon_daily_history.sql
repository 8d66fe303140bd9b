-- One row a day, merchant, warehouse and currency: where its returns stood at that day's last reconcile.
SELECT
    merchant,  -- The merchant.
    nullif(warehouse, '') AS warehouse,  -- The warehouse; null for exceptions about no return.
    nullif(currency, '') AS currency,  -- ISO code.
    day,  -- YYYY-MM-DD, UTC.
    {% for stage in stages %}
    {{ stage }}_returns,  -- Returns at stage {{ stage }}.
    {% endfor %}
    value_at_risk,  -- In the row's currency; null for a day that was worked out afterwards.
    open_exceptions,  -- Exceptions open at the end of the day.
    is_backfilled,  -- The day was worked out afterwards, from decisions, deliveries and exceptions.
    taken_at  -- When the row was last written.
FROM daily_history
