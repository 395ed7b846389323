-- Rows of two versions, joined by id. `old_rows` and `new_rows` hold one hash a field, so that
-- texts are read once and never kept; DuckDB's hash() is stable within a process, which suffices.
SELECT
    coalesce(n.config, o.config) AS config,
    coalesce(n.language, o.language) AS language,
    coalesce(n.modality, o.modality) AS modality,
    CASE WHEN o.id IS NULL THEN 'added' WHEN n.id IS NULL THEN 'removed' ELSE 'changed' END AS kind,
    CASE WHEN o.id IS NULL OR n.id IS NULL THEN []
         ELSE list_filter([{field_list}], lambda name: name IS NOT NULL)
    END AS fields,
    count(*)::BIGINT AS num_rows
FROM old_rows AS o
FULL OUTER JOIN new_rows AS n ON n.id = o.id
WHERE o.id IS NULL OR n.id IS NULL OR {any_field_differs}
GROUP BY ALL
ORDER BY ALL
