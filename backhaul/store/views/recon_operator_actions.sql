-- What people did: one row an act, and one a return where an act is about several.
SELECT
    a.merchant,  -- The merchant.
    a.acted_at,  -- When.
    a.operator,  -- Who: the login, or the name given with `--as`.
    a.action,  -- `pause`, `resume`, `release`, `reject`, `retry`, `from_shadow`, `resolve`, `archive`, `quarantine_retry` or `confirm`.
    a.subject,  -- What it was about: a return, a vendor (`*` for all), an exception's subject, an age.
    a.return_id,  -- The return; null where it was about no one return.
    a.detail,  -- What it did.
    a.why  -- In the person's own words.
FROM operator_actions a
