-- Samples to choose from, with numbers instead of texts.
-- Tables: sample (columns of a published row, place), wanted(task_type, modality, language, slot).
SELECT
    sample.place,
    wanted.slot,
    CASE
        WHEN alignment IS NULL THEN scores
        ELSE (scores + least(1, greatest(0, alignment))) / 2
    END AS quality,
    -- Both are 64 bits of a digest: the same on every machine, unlike DuckDB's own hash.
    md5_number_lower(coalesce(query_image, positive_image, id)) AS image,
    md5_number_lower(lower(trim(instruction))) AS instruction,
    md5_number_lower(id || ':' || $seed) AS tie
FROM (
    SELECT *, (relevance::INTEGER + plausibility + clarity + diversity - 4) / 16 AS scores
    FROM sample
) AS sample
JOIN wanted USING (task_type, modality, language)
