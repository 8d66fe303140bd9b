-- One row a return and step that has a target: met, late, due_soon (today or the next business day) or open. Days are business days.
WITH times AS (
    SELECT
        r.merchant, r.warehouse, r.return_id, r.order_name, r.created_at, w.stage, w.announced_at, w.delivered_at, w.received_at,
        CASE WHEN d.decision IN ('process', 'flag') THEN d.decided_at END AS decided_at,
        CASE WHEN d.decision = 'process' THEN d.decided_at END AS refundable_at,
        coalesce(r.refund_processed_at, r.shop_cash_processed_at, r.gift_card_processed_at, r.exchange_processed_at, r.return_processed_at) AS refunded_at
    FROM returns r
    JOIN whereabouts w ON w.merchant = r.merchant AND w.return_id = r.return_id
    LEFT JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
    WHERE NOT r.is_history
),
steps AS (
    SELECT
        t.merchant, t.warehouse, t.return_id, t.order_name, t.created_at, g.step, g.within_days, t.stage,
        CASE g.step WHEN 'announce' THEN t.created_at WHEN 'inspect' THEN t.delivered_at WHEN 'decide' THEN t.received_at ELSE t.refundable_at END AS started_at,
        CASE g.step WHEN 'announce' THEN t.announced_at WHEN 'inspect' THEN t.received_at WHEN 'decide' THEN t.decided_at ELSE t.refunded_at END AS done_at
    FROM service_targets g
    JOIN times t ON t.merchant = g.merchant
),
counted AS (
    SELECT
        s.*,
        due.day AS due_on,
        coalesce(until.number, 0) - coalesce(since.number, 0) AS taken_days
    FROM steps s
    LEFT JOIN business_days since ON since.merchant = s.merchant AND since.day = {{ day("s.started_at") }}
    LEFT JOIN (SELECT merchant, number, min(day) AS day FROM business_days GROUP BY merchant, number) due
        ON due.merchant = s.merchant AND due.number = since.number + s.within_days
    LEFT JOIN business_days until ON until.merchant = s.merchant AND until.day = {{ day("coalesce(s.done_at, " ~ now() ~ ")") }}
    WHERE s.started_at IS NOT NULL AND (s.done_at IS NOT NULL OR s.stage <> 'ended')
)
SELECT
    merchant,  -- The merchant.
    warehouse,  -- The warehouse.
    return_id,  -- The return.
    order_name,  -- The order as the customer knows it.
    created_at,  -- When the customer started the return.
    step,  -- announce (created to announced), inspect (delivered to received), decide (received to decided) or refund (decided to process, to refunded).
    started_at,  -- When the step's time began.
    done_at,  -- When it was done; null while it is not.
    within_days,  -- The target in business days.
    taken_days,  -- Business days from the start until it was done, or until today.
    due_on,  -- The last day on which the target is met.
    CASE
        WHEN taken_days > within_days THEN 'late'
        WHEN done_at IS NOT NULL THEN 'met'
        WHEN taken_days >= within_days - 1 THEN 'due_soon'
        ELSE 'open'
    END AS status  -- met, late, due_soon (today or the next business day is the last), or open.
FROM counted
