-- Wanted and reached share of every task type, modality combination and language.
-- Tables: slot, the rows of missing.sql.
-- What one slot has too much makes up for no other, so a shortfall is of what is missing.
WITH long AS (
    SELECT 'task type' AS dimension, task_type AS value, wanted, accepted, dropped, missing FROM slot
    UNION ALL
    SELECT 'modality', task_type || ' ' || modality, wanted, accepted, dropped, missing FROM slot
    UNION ALL
    SELECT 'language', language, wanted, accepted, dropped, missing FROM slot
),
total AS (
    SELECT greatest(1, sum(wanted)) AS wanted, greatest(1, sum(accepted)) AS accepted FROM slot
)
SELECT
    dimension,
    value,
    sum(long.wanted)::BIGINT AS wanted,
    sum(long.accepted)::BIGINT AS accepted,
    sum(long.dropped)::BIGINT AS dropped,
    sum(long.wanted) / any_value(total.wanted) AS wanted_share,
    sum(long.accepted) / any_value(total.accepted) AS reached_share,
    reached_share - wanted_share AS gap,
    sum(long.missing) / greatest(1, sum(long.wanted)) AS shortfall
FROM long, total
GROUP BY dimension, value
ORDER BY dimension, sum(long.wanted) DESC, value
