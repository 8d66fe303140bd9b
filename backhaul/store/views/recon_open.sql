-- The rows of recon_returns that still ask for something: not over, not history, not archived (an exception shows up again).
SELECT s.*
FROM recon_returns s
JOIN returns r ON r.merchant = s.merchant AND r.return_id = s.return_id
WHERE s.stage NOT IN ('processed', 'ended', 'history') AND (r.archived_at IS NULL OR s.stage = 'exception')
