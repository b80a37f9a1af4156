-- Accuracy over rotation and translation, from the random points of the grid: the worst points show
-- where models fail, but not how often. Rotations are grouped into five bins of about equally many
-- angles of the grid, with no rotation at the centre of the middle bin; a translation is
-- represented by its longer side, as a fraction of the model's longest. The number of samples of an
-- image in a cell is random, so accuracy is a ratio, and its interval is that of a ratio estimator,
-- clustered by image.
WITH samples AS (
    FROM spatial_predictions
    WHERE NOT is_worst
),
magnitudes AS (
    SELECT abs(rotation_deg) AS magnitude, dense_rank() OVER (ORDER BY magnitude) - 1 AS rank
    FROM samples
    GROUP BY magnitude
),
rotations AS (
    SELECT DISTINCT
        rotation_deg,
        sign(rotation_deg)
        * floor((5 * rank / ((SELECT max(rank) FROM magnitudes) + 0.5) + 1) / 2) AS bin
    FROM samples
    JOIN magnitudes ON magnitude = abs(rotation_deg)
),
bins AS (
    SELECT bin, min(rotation_deg) AS low, max(rotation_deg) AS high
    FROM rotations
    GROUP BY bin
),
translations AS (
    -- The grid's distances are evenly spaced up to the rounding to whole pixels. One point in 25 is
    -- not translated, too few for a separate row: these points count with the smallest translation.
    -- Distances are pixels of each model's preprocessing, whose size differs between models.
    SELECT
        model,
        translation_px,
        greatest(row_number() OVER by_distance - 1, least(count(*) OVER of_model - 1, 1))
        / greatest(count(*) OVER of_model - 1, 1) AS translation
    FROM (SELECT DISTINCT model, translation_px FROM samples)
    WINDOW
        of_model AS (PARTITION BY model),
        by_distance AS (PARTITION BY model ORDER BY translation_px)
),
images AS (
    SELECT
        model,
        bin,
        translation,
        image,
        sum(num_correct) AS num_correct,
        count(*) AS num_predictions
    FROM samples
    JOIN rotations USING (rotation_deg)
    JOIN translations USING (model, translation_px)
    GROUP BY ALL
),
summary AS (
    SELECT
        model,
        bin,
        translation,
        count(*) AS num_images,
        sum(num_predictions)::BIGINT AS num_predictions,
        sum(num_correct) AS k,
        sum(num_correct * num_correct) AS kk,
        sum(num_correct * num_predictions) AS kn,
        sum(num_predictions * num_predictions) AS nn
    FROM images
    GROUP BY model, bin, translation
)
SELECT
    m.*,
    CASE WHEN low = high THEN printf('%.3g', low) ELSE printf('%.3g to %.3g', low, high) END
        AS rotation_bin,
    low AS rotation_low_deg,
    high AS rotation_high_deg,
    s.translation,
    s.num_images,
    s.num_predictions,
    s.k / s.num_predictions AS accuracy,
    ratio_low(s.k, s.num_predictions, s.kk, s.kn, s.nn, s.num_images) AS accuracy_low,
    ratio_high(s.k, s.num_predictions, s.kk, s.kn, s.nn, s.num_images) AS accuracy_high
FROM summary AS s
JOIN bins USING (bin)
JOIN model_columns AS m USING (model)
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, s.translation, s.bin;
