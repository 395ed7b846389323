-- Accepted jobs beyond what their slot wants: the last ones planned go first.
-- Tables: target(task_type, modality, language, wanted), outcome(job_id, round, idx, ..., reason).
SELECT outcome.job_id
FROM outcome
LEFT JOIN target USING (task_type, modality, language)
WHERE outcome.reason IS NULL
QUALIFY row_number() OVER (
    PARTITION BY outcome.task_type, outcome.modality, outcome.language
    ORDER BY outcome.round, outcome.idx
) > coalesce(target.wanted, 0)
ORDER BY outcome.round, outcome.idx
