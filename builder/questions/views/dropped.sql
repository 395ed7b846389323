-- Dropped jobs with their reason; texts and images only where the reply could be read.
-- Tables: outcome (one row a job), sample_row (the sample a job made).
CREATE VIEW dropped AS
SELECT
    outcome.job_id,
    outcome.reason,
    outcome.language,
    outcome.task_type,
    outcome.modality,
    outcome.round,
    sample_row.* EXCLUDE (job_id, language, task_type, modality)
FROM outcome
LEFT JOIN sample_row USING (job_id)
WHERE outcome.reason IS NOT NULL
