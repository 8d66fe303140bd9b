-- One row a return: where it stands at Loop and at the warehouse, what was decided and why.
SELECT
    r.merchant,  -- The merchant's name in the config.
    r.warehouse,  -- The warehouse that the return's destination stands for.
    r.return_id,  -- Loop's return id, the one in the URL. It is also the RMA's key at the warehouse.
    r.order_name,  -- The order as the customer knows it.
    r.loop_state,  -- `open`, `closed`, `cancelled`, `expired` or `review`.
    r.outcome,  -- What the customer gets: `refund`, `exchange`, …; an open set.
    r.currency,  -- ISO code.
    r.return_total,  -- Product − discount + tax.
    r.created_at,  -- When the customer started the return.
    w.rma_id,  -- The warehouse's own id of the RMA; null until it was read back.
    w.rma_status,  -- The warehouse's status of the RMA.
    d.expected_units,  -- All lines of the return. The next six add up to it.
    d.available_units,  -- Lines whose unit arrived available.
    d.damaged_units,  -- Lines whose unit arrived damaged.
    d.pending_units,  -- Lines whose unit is being inspected, or came in a condition that nobody listed.
    d.missing_units,  -- Lines without a unit, the RMA being finished.
    d.awaited_units,  -- Lines without a unit, the RMA not being finished, or not there.
    d.unverifiable_units,  -- Lines without a SKU, which cannot be matched.
    d.unexpected_units,  -- Units that arrived and belong to no line.
    d.decision,  -- `wait`, `hold`, `process`, `flag` or `skip`.
    d.reasons,  -- JSON array of the decision's reasons, sorted.
    d.decided_at,  -- When this decision was first reached.
    w.delivery_state,  -- State of the `loop.process` or `loop.flag` delivery; null if there is none.
    w.stage,  -- How far it has come: history, unannounced, announced, receiving, held, decided, processed, flagged, ended or exception.
    CAST({{ days("r.created_at", now()) }} AS INTEGER) AS age_days,  -- Whole days since `created_at`.
    w.value_at_risk,  -- Price − discount + tax over the lines damaged, missing or unverifiable and, where Loop has already paid, over those awaited.
    r.tracking_number,  -- The parcel's; null before there is a label.
    w.received_at,  -- When the warehouse finished receiving.
    coalesce(r.return_processed_at, w.confirmed_at) AS processed_at,  -- When Loop had processed the return; until Loop gives a time, when our process was confirmed.
    r.refund,  -- Money that goes back to the customer.
    w.waits_for  -- announcement, parcel, receiving, inspection, review, vendor or person; null when it waits for nothing.
FROM returns r
LEFT JOIN whereabouts w ON w.merchant = r.merchant AND w.return_id = r.return_id
LEFT JOIN decisions d ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current
