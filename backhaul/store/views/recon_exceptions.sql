-- All that needs a person: what, why, and what to do about it.
SELECT
    e.merchant,  -- The merchant.
    e.kind,  -- What kind of exception it is (docs/rules.md).
    e.return_id,  -- The return, where there is one.
    e.subject,  -- What exactly it is about: a return, a delivery, an RMA, a record.
    e.why,  -- What happened.
    e.remedy,  -- What to do about it.
    e.opened_at,  -- Since when.
    CAST({{ days("e.opened_at", now()) }} AS INTEGER) AS age_days,  -- Whole days since.
    e.assigned_to  -- Who has taken it; null for nobody.
FROM exceptions e
WHERE e.resolved_at IS NULL
UNION ALL
SELECT
    q.merchant,
    'quarantined' AS kind,
    q.record_key AS return_id,
    q.source || ':' || q.record_key AS subject,
    q.reason AS why,
    'Have the record put right at its source; it is taken in by itself, or by: backhaul quarantine retry.' AS remedy,
    q.quarantined_at AS opened_at,
    CAST({{ days("q.quarantined_at", now()) }} AS INTEGER) AS age_days,
    CAST(NULL AS TEXT) AS assigned_to
FROM quarantine q
WHERE q.released_at IS NULL
