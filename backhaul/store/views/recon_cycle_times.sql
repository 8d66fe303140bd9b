-- One row a return: when each step of it was done, and the hours between. History has no times of ours.
SELECT
    r.merchant,  -- The merchant.
    r.warehouse,  -- The return's warehouse.
    r.return_id,  -- The return.
    r.order_name,  -- The order as the customer knows it.
    r.created_at,  -- When the customer started the return.
    w.announced_at,  -- When the warehouse accepted its RMA.
    w.label_at,  -- When the RMA was first to be updated with the parcel's label; null where the label was there from the start.
    w.delivered_at,  -- When the parcel reached the dock, where the warehouse says so.
    w.received_at,  -- When the warehouse finished receiving.
    d.decided_at,  -- When it was decided to process or to flag; null for history.
    w.told_at,  -- When Loop accepted that.
    coalesce(r.return_processed_at, w.confirmed_at) AS done_at,  -- When Loop had processed the return.
    {{ hours("r.created_at", "w.announced_at") }} AS hours_to_announce,  -- From created to announced.
    {{ hours("r.created_at", "w.label_at") }} AS hours_to_label,  -- From created to label.
    {{ hours("coalesce(w.label_at, r.created_at)", "w.delivered_at") }} AS hours_to_deliver,  -- From the label (from created, where no label is known) to delivered.
    {{ hours("w.delivered_at", "w.received_at") }} AS hours_to_receive,  -- From delivered to received.
    {{ hours("w.received_at", "d.decided_at") }} AS hours_to_decide,  -- From received to decided.
    {{ hours("d.decided_at", "w.told_at") }} AS hours_to_tell,  -- From decided to told.
    {{ hours("w.told_at", "coalesce(r.return_processed_at, w.confirmed_at)") }} AS hours_to_finish,  -- From told to done.
    {{ hours("r.created_at", "coalesce(r.return_processed_at, w.confirmed_at)") }} AS hours_in_all,  -- From created to done.
    r.is_history  -- Seen by a backfill alone; it has no times of ours.
FROM returns r
LEFT JOIN whereabouts w ON w.merchant = r.merchant AND w.return_id = r.return_id
LEFT JOIN decisions d
    ON d.merchant = r.merchant AND d.return_id = r.return_id AND d.is_current AND d.decision IN ('process', 'flag') AND NOT r.is_history
