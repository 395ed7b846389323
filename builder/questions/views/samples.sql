-- Kept samples, one row each: the columns of a published row, images by their hash.
-- Tables: outcome (one row a job), sample_row (the sample a job made).
CREATE VIEW samples AS
SELECT sample_row.*, outcome.round
FROM outcome
JOIN sample_row USING (job_id)
WHERE outcome.reason IS NULL
