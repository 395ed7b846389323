-- Images of the workspace, and how many kept samples use each, at whatever place.
-- Tables: image_row. View: samples.
CREATE VIEW images AS
WITH used AS (
    SELECT sha256, count(DISTINCT id) AS samples
    FROM (
        SELECT id, query_image AS sha256 FROM samples
        UNION ALL SELECT id, positive_image FROM samples
        UNION ALL SELECT id, unnest(negative_images) FROM samples
    )
    WHERE sha256 IS NOT NULL
    GROUP BY sha256
)
SELECT image_row.*, coalesce(used.samples, 0) AS samples
FROM image_row
LEFT JOIN used USING (sha256)
