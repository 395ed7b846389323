-- How each kept sample came about; `id` is that of the sample.
-- Tables: outcome (one row a job), provenance_row (what a job's sample came from).
CREATE VIEW provenance AS
SELECT provenance_row.*
FROM outcome
JOIN provenance_row USING (job_id)
WHERE outcome.reason IS NULL
