-- Kept jobs beyond what their slot wants: the last planned of each slot.
-- Tables: excess(task_type, modality, language, surplus), outcome(job_id, round, idx, ..., reason).
SELECT outcome.job_id
FROM outcome
JOIN excess USING (task_type, modality, language)
WHERE outcome.reason IS NULL
QUALIFY row_number() OVER (
    PARTITION BY outcome.task_type, outcome.modality, outcome.language
    ORDER BY outcome.round DESC, outcome.idx DESC
) <= excess.surplus
ORDER BY outcome.round, outcome.idx
