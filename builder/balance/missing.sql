-- What is still missing of each slot: one row a (task type, modality, language) that is wanted.
-- Tables: target(task_type, modality, language, wanted), outcome(..., reason).
SELECT
    target.task_type,
    target.modality,
    target.language,
    target.wanted,
    count(outcome.job_id) FILTER (outcome.reason IS NULL) AS accepted,
    count(outcome.job_id) FILTER (outcome.reason IS NOT NULL) AS dropped,
    greatest(0, target.wanted - accepted) AS missing
FROM target
LEFT JOIN outcome USING (task_type, modality, language)
GROUP BY ALL
ORDER BY target.task_type, target.modality, target.language
