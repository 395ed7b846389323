-- The samples of each slot that are chosen, and their place in its order.
-- Tables: candidate(place, slot, quality, image, instruction, tie), wanted(slot, num).
-- A sample counts for its quality (0 to 1), less for each better sample of its slot that has the
-- same picture or the same instruction, and a little less for each elsewhere with the same picture:
-- so the second with a picture has to be better by repeat_cost * ln(2), the tenth by ln(10) of it.
-- `tie` comes from id and seed, so that the same seed chooses the same samples everywhere.
WITH counted AS (
    SELECT
        place,
        slot,
        quality,
        tie,
        row_number() OVER (PARTITION BY slot, image ORDER BY quality DESC, tie) AS same_image,
        row_number() OVER (
            PARTITION BY slot, instruction ORDER BY quality DESC, tie
        ) AS same_instruction,
        row_number() OVER (PARTITION BY image ORDER BY quality DESC, tie) AS image_anywhere
    FROM candidate
),
ranked AS (
    SELECT
        place,
        slot,
        row_number() OVER (
            PARTITION BY slot
            ORDER BY
                quality
                - $repeat_cost * (ln(same_image) + ln(same_instruction))
                - $repeat_cost / 4 * ln(image_anywhere) DESC,
                tie
        ) AS number
    FROM counted
)
SELECT ranked.place
FROM ranked
JOIN wanted USING (slot)
WHERE ranked.number <= wanted.num
ORDER BY ranked.place
