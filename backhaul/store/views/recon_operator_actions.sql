-- What people did: who, when, what about, and why.
SELECT
    a.merchant,
    a.acted_at,
    a.operator,
    a.action,
    a.subject,
    a.return_id,
    a.detail,
    a.why
FROM operator_actions a
