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
    w.stage,
    CAST({{ days("r.created_at", now()) }} AS INTEGER) AS age_days,
    w.value_at_risk,
    r.tracking_number,
    c.received_at,
    coalesce(r.return_processed_at, processing.confirmed_at) AS processed_at,
    r.refund,
    w.waits_for
FROM returns r
LEFT JOIN whereabouts w ON w.merchant = r.merchant AND w.return_id = r.return_id
LEFT JOIN rmas m ON m.merchant = r.merchant AND m.rma_key = r.return_id
LEFT JOIN receipts c ON c.merchant = r.merchant AND c.rma_key = r.return_id
LEFT JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
LEFT JOIN deliveries processing ON processing.merchant = r.merchant AND processing.effect_key = 'loop.process:' || r.return_id
LEFT JOIN deliveries flagging ON flagging.merchant = r.merchant AND flagging.effect_key = 'loop.flag:' || r.return_id
