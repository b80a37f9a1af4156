-- NEEDS entry_places, measure_values, measure_pairs
-- The difference of every two entries by every measure. Where images add up to it, its interval is
-- that of a comparison paired by image, as in `contrasts`, with the variance between runs. Other
-- measures have the interval of two values, as if their images were not the same (Newcombe's): it is
-- too wide where the errors of both models go together. A value that is only known to be above the
-- lower end of its interval counts as that end.
CREATE TEMP TABLE entry_values AS
WITH pooled AS (
    -- An image and all its predictions by all runs are one cluster, as in `training_runs`.
    SELECT
        measure,
        entry,
        image,
        sum(num_correct) AS num_correct,
        sum(num_predictions) AS num_predictions
    FROM image_outcomes AS o
    JOIN measure_sets USING (test_set)
    JOIN entry_places AS e ON e.model = o.model
    GROUP BY measure, entry, image
),
accuracies AS (
    SELECT
        measure,
        entry,
        accuracy_low(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS image_low,
        accuracy_high(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS image_high
    FROM pooled
    GROUP BY measure, entry
),
means AS (
    SELECT
        measure,
        entry,
        place,
        count(*) AS num_runs,
        bool_or(v.value IS NULL) AS is_bound,
        ordered_mean(coalesce(v.value, low), run) AS value,
        ordered_mean(coalesce(v.value, low) - low, run) AS mean_reach_low,
        ordered_mean(high - coalesce(v.value, low), run) AS mean_reach_high,
        coalesce(ordered_stddev(coalesce(v.value, low), run) ** 2 / count(*), 0) AS runs_variance,
        max(num_images) AS num_images
    FROM measure_values AS v
    JOIN entry_places AS e ON e.model::VARCHAR = v.model
    WHERE coalesce(v.value, low) IS NOT NULL
    GROUP BY measure, entry, place
)
SELECT
    means.* EXCLUDE (mean_reach_low, mean_reach_high),
    drawn_reach(coalesce(value - image_low, mean_reach_low), runs_variance, num_runs) AS reach_low,
    drawn_reach(coalesce(image_high - value, mean_reach_high), runs_variance, num_runs)
        AS reach_high,
    at_least(0.0, value - reach_low) AS low,
    CASE WHEN image_high IS NULL AND measure <> 'perturbed' THEN value + reach_high
        ELSE at_most(1.0, value + reach_high) END AS high
FROM means
LEFT JOIN accuracies USING (measure, entry);

CREATE TEMP VIEW entry_ranges AS
SELECT
    measure,
    place,
    ordered_mean(lowest, run) AS lowest,
    ordered_mean(highest, run) AS highest
FROM measure_ranges
JOIN entry_places AS e ON e.model::VARCHAR = measure_ranges.model
GROUP BY measure, place;

CREATE TEMP TABLE pair_intervals AS
WITH paired AS (
    SELECT
        p.*,
        CASE WHEN is_line THEN a.value - b.value ELSE d1 / p.num_images END AS estimate,
        -- Of a measure that is no accuracy, an image counts by its distance from the mean.
        CASE WHEN is_line THEN greatest(
            ra.highest - rb.lowest - mean, mean - (ra.lowest - rb.highest)) ELSE 1 END AS reach,
        CASE WHEN is_line THEN estimate ELSE contrast_centre(d1, p.num_images) END AS centre,
        contrast_variance(CASE WHEN is_line THEN 0 ELSE d1 END, d2, d4, p.num_images, reach)
        + variance_a + variance_b AS variance,
        total_freedom(
            variance,
            variance_a + variance_b,
            freedom_part(variance_a, runs_a - 1) + freedom_part(variance_b, runs_b - 1))
            AS freedom,
        interval_low(centre, variance, freedom) AS free_low,
        interval_high(centre, variance, freedom) AS free_high
    FROM measure_pairs AS p
    LEFT JOIN entry_values AS a ON a.measure = p.measure AND a.place = p.place_a
    LEFT JOIN entry_values AS b ON b.measure = p.measure AND b.place = p.place_b
    LEFT JOIN entry_ranges AS ra ON ra.measure = p.measure AND ra.place = p.place_a
    LEFT JOIN entry_ranges AS rb ON rb.measure = p.measure AND rb.place = p.place_b
),
unpaired AS (
    SELECT
        a.measure,
        a.place AS place_a,
        b.place AS place_b,
        a.is_bound OR b.is_bound AS is_bound,
        least(a.num_images, b.num_images) AS num_images,
        a.value - b.value AS estimate,
        estimate - difference_reach(
            a.reach_low, a.num_images, b.reach_high, b.num_images, 'Infinity'::DOUBLE) AS low,
        estimate + difference_reach(
            a.reach_high, a.num_images, b.reach_low, b.num_images, 'Infinity'::DOUBLE) AS high
    FROM entry_values AS a
    JOIN entry_values AS b ON b.measure = a.measure AND b.place > a.place
    JOIN study_measures ON study_measures.measure = a.measure AND is_better_high IS NOT NULL
    WHERE a.measure NOT IN (SELECT measure FROM paired_measures)
)
SELECT
    measure,
    place_a,
    place_b,
    true AS is_paired,
    false AS is_bound,
    num_images,
    estimate,
    CASE WHEN is_line THEN free_low ELSE at_least(-1, free_low) END AS low,
    CASE WHEN is_line THEN free_high ELSE at_most(1, free_high) END AS high
FROM paired
UNION ALL
SELECT measure, place_a, place_b, false, is_bound, num_images, estimate, low, high
FROM unpaired;
