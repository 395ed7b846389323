-- What replies cost, by model and by the cell and language of the job they were for.
-- SQLite, over the ledger's own tables: usage, request, outcome.
-- Replies of jobs without an outcome yet are under a null cell and language.
SELECT
    request.model,
    outcome.task_type,
    outcome.modality,
    outcome.language,
    count(*) AS replies,
    sum(usage.prompt_tokens) AS prompt_tokens,
    sum(usage.completion_tokens) AS completion_tokens,
    sum(usage.cost_usd) AS cost_usd
FROM usage
JOIN request ON request.id = usage.request_id
LEFT JOIN outcome ON outcome.job_id = request.job_id
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
