-- One row a return: where it stands at Loop and at the warehouse, what was decided and why.
SELECT
    r.merchant,
    r.warehouse,
    r.return_id,
    r.order_name,
    r.loop_state,
    r.outcome,
    r.currency,
    r.return_total,
    r.created_at,
    m.rma_id,
    m.rma_status,
    d.expected_units,
    d.available_units,
    d.damaged_units,
    d.pending_units,
    d.missing_units,
    d.awaited_units,
    d.unverifiable_units,
    d.unexpected_units,
    d.decision,
    d.reasons,
    d.decided_at,
    CASE d.decision
        WHEN 'process' THEN processing.state
        WHEN 'flag' THEN flagging.state
        ELSE coalesce(nullif(processing.state, 'superseded'), nullif(flagging.state, 'superseded'), processing.state, flagging.state)
    END AS delivery_state,
    CASE
        WHEN r.is_history THEN 'history'
        WHEN EXISTS (
            SELECT 1 FROM exceptions e
            WHERE e.merchant = r.merchant AND e.return_id = r.return_id AND e.resolved_at IS NULL
              AND e.subject <> 'loop.note:' || r.return_id  -- a note that is refused holds nothing up
              AND e.kind IN ('rma_refused', 'unverifiable', 'receipt_quarantined', 'delivery_refused',
                             'delivery_failed', 'delivery_dead', 'delivery_stuck', 'delivery_blocked', 'rma_not_found',
                             'process_unconfirmed')
        ) THEN 'exception'
        WHEN d.decision = 'process' AND processing.state = 'confirmed' THEN 'processed'
        WHEN d.decision = 'flag' AND flagging.state IN ('accepted', 'confirmed') THEN 'flagged'
        WHEN d.decision = 'skip' OR r.loop_state IN ('closed', 'cancelled', 'expired') THEN 'ended'
        WHEN d.decision IN ('process', 'flag') THEN 'decided'
        WHEN d.decision = 'hold' THEN 'held'
        WHEN m.rma_stage = 'receiving' OR d.available_units + d.damaged_units + d.pending_units > 0 THEN 'receiving'
        WHEN m.rma_key IS NOT NULL OR announced.state IN ('accepted', 'confirmed') THEN 'announced'
        ELSE 'unannounced'
    END AS stage,
    CAST({{ days("r.created_at", now()) }} AS INTEGER) AS age_days,
    {% filter money %}(
        SELECT coalesce(sum(coalesce(l.price, 0) - coalesce(l.discount, 0) + coalesce(l.tax, 0)), 0)
        FROM matches x
        JOIN return_lines l ON l.merchant = x.merchant AND l.return_id = x.return_id AND l.line_item_id = x.line_item_id
        WHERE x.merchant = r.merchant AND x.return_id = r.return_id
          AND (x.condition IN ('damaged', 'missing', 'unverifiable') OR (x.condition = 'awaited' AND r.is_paid))
    ){% endfilter %} AS value_at_risk
FROM returns r
LEFT JOIN rmas m ON m.merchant = r.merchant AND m.rma_key = r.return_id
LEFT JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
LEFT JOIN deliveries processing ON processing.merchant = r.merchant AND processing.effect_key = 'loop.process:' || r.return_id
LEFT JOIN deliveries flagging ON flagging.merchant = r.merchant AND flagging.effect_key = 'loop.flag:' || r.return_id
LEFT JOIN deliveries announced ON announced.merchant = r.merchant AND announced.effect_key = 'rma.create:' || r.return_id
