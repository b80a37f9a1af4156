-- NEEDS corruption_errors, reference_outcomes
-- Intervals of CE. Over published errors it is the error's own, divided by a constant. Over errors
-- measured on the same images it is that of a ratio, paired by image: image i counts by
-- (wrong predictions of the model - CE * those of the reference) / (the reference's mean).
CREATE TEMP VIEW corruption_error_intervals AS
WITH counts AS (
    SELECT
        model::VARCHAR AS model,
        dataset::VARCHAR AS dataset,
        position,
        num_wrong,
        reference_wrong,
        count(*) AS n
    FROM corruption_outcomes
    JOIN reference_outcomes USING (position, image)
    GROUP BY ALL
),
paired AS (
    SELECT
        e.model,
        e.dataset,
        e.position,
        ordered_sum(
            n * ((num_wrong - ce * reference_wrong) / error_sum) ** 2,
            (num_wrong, reference_wrong)) AS d2,
        ordered_sum(
            n * ((num_wrong - ce * reference_wrong) / error_sum) ** 4,
            (num_wrong, reference_wrong)) AS d4
    FROM corruption_errors AS e
    JOIN counts USING (model, dataset, position)
    GROUP BY ALL
),
scaled AS (
    SELECT e.*, paired.d2, paired.d4, num_severities / error_sum AS scale
    FROM corruption_errors AS e
    LEFT JOIN paired USING (model, dataset, position)
)
SELECT
    model,
    dataset,
    corruption,
    CASE WHEN d2 IS NULL
        THEN scale * accuracy_low(sum_wrong, sum_wrong2, num_images, num_severities)
        ELSE at_least(0, ce
            - contrast_half_width(0, d2, d4, num_images, scale * greatest(1, ce)))
    END AS ce_low,
    CASE WHEN d2 IS NULL
        THEN scale * accuracy_high(sum_wrong, sum_wrong2, num_images, num_severities)
        ELSE ce + contrast_half_width(0, d2, d4, num_images, scale * greatest(1, ce))
    END AS ce_high
FROM scaled;
