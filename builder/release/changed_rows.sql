-- Ids of the rows in which two versions differ; `old_rows` and `new_rows` as in compare.sql.
SELECT
    CASE WHEN o.id IS NULL THEN 'added' WHEN n.id IS NULL THEN 'removed' ELSE 'changed' END AS kind,
    coalesce(n.id, o.id) AS id
FROM old_rows AS o
FULL OUTER JOIN new_rows AS n ON n.id = o.id
WHERE o.id IS NULL OR n.id IS NULL OR {any_field_differs}
