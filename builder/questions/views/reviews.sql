-- Review events, oldest first, as they are published; `sample_id` is the sample's `id`.
-- Table: review_row.
CREATE VIEW reviews AS
SELECT * FROM review_row
