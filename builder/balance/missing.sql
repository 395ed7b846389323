-- What is still missing of each slot: one row a (task type, modality, language) that is wanted.
-- Tables: target(task_type, modality, language, wanted), outcome(..., reason).
WITH counted AS (
    SELECT
        task_type,
        modality,
        language,
        count(*) FILTER (reason IS NULL) AS accepted,
        count(*) FILTER (reason IS NOT NULL) AS dropped
    FROM outcome
    GROUP BY task_type, modality, language
)
SELECT
    task_type,
    modality,
    language,
    wanted,
    coalesce(accepted, 0) AS accepted,
    coalesce(dropped, 0) AS dropped,
    greatest(0, wanted - coalesce(accepted, 0)) AS missing
FROM target
LEFT JOIN counted USING (task_type, modality, language)
ORDER BY task_type, modality, language
