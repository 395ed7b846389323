-- Why replies were dropped, by language: the worst first.
-- Tables: outcome(language, reason, ...).
SELECT
    language,
    reason,
    count(*) AS dropped,
    count(*) / sum(count(*)) OVER (PARTITION BY language) AS share
FROM outcome
GROUP BY language, reason
QUALIFY reason IS NOT NULL
ORDER BY dropped DESC, language, reason
