-- Kept and dropped jobs of every cell and language, by reason (null: kept).
-- SQLite, over the ledger's own table: outcome.
SELECT task_type, modality, language, reason, count(*) AS num
FROM outcome
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
