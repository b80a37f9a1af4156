-- Accuracy of every model that is trained several times, on every test set: the mean over its runs,
-- the spread between them, and the error from the sampling of images.
WITH images AS (
    SELECT
        test_set,
        entry,
        image,
        sum(num_predictions) AS num_predictions,
        sum(num_correct) AS num_correct
    FROM image_outcomes
    JOIN benchmark_models USING (model)
    WHERE num_runs > 1
    GROUP BY test_set, entry, image
),
-- An image and all its predictions by all runs are one cluster.
of_images AS (
    SELECT
        test_set,
        entry,
        count(*) AS num_images,
        sum(num_correct) / sum(num_predictions) AS accuracy,
        accuracy_low(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS image_low,
        accuracy_high(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS image_high
    FROM images
    GROUP BY test_set, entry
),
run_values AS (
    SELECT test_set, entry, run, sum(num_correct) / sum(num_predictions) AS value
    FROM image_outcomes
    JOIN benchmark_models USING (model)
    WHERE num_runs > 1
    GROUP BY test_set, entry, run
),
of_runs AS (
    SELECT
        test_set,
        entry,
        count(*) AS num_runs,
        ordered_stddev(value, run) AS run_deviation,
        min(value) AS lowest_accuracy,
        max(value) AS highest_accuracy
    FROM run_values
    GROUP BY test_set, entry
),
-- Variances of the mean: of each side of the images' interval, which is not symmetric, and of runs.
variances AS (
    SELECT
        *,
        ((accuracy - image_low) / z95()) ** 2 AS below,
        ((image_high - accuracy) / z95()) ** 2 AS above,
        run_deviation ** 2 / num_runs AS of_run
    FROM of_images
    JOIN of_runs USING (test_set, entry)
),
-- Satterthwaite's degrees of freedom of their sum. Those of images are infinite: their interval has
-- the normal quantile, which a million degrees of freedom have to six digits.
freedoms AS (
    SELECT
        *,
        least(1e6, (num_runs - 1) * (1 + below / nullif(of_run, 0)) ** 2) AS freedom_below,
        least(1e6, (num_runs - 1) * (1 + above / nullif(of_run, 0)) ** 2) AS freedom_above
    FROM variances
),
reaches AS (
    SELECT
        *,
        CASE WHEN of_run > 0 THEN student_quantile(0.975, freedom_below) * sqrt(below + of_run)
            ELSE accuracy - image_low END AS reach_below,
        CASE WHEN of_run > 0 THEN student_quantile(0.975, freedom_above) * sqrt(above + of_run)
            ELSE image_high - accuracy END AS reach_above
    FROM freedoms
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    m.entry,
    m.entry_label AS architecture_label,
    m.family,
    m.size,
    m.patch_size,
    m.num_parameters,
    m.pretraining,
    m.pretraining_label,
    m.pretraining_rank,
    r.num_runs,
    r.num_images,
    r.accuracy,
    greatest(0, r.accuracy - r.reach_below) AS accuracy_low,
    least(1, r.accuracy + r.reach_above) AS accuracy_high,
    r.run_deviation,
    (r.image_high - r.image_low) / (2 * z95()) AS image_error,
    r.image_low,
    r.image_high,
    r.lowest_accuracy,
    r.highest_accuracy
FROM reaches AS r
JOIN test_sets USING (test_set)
JOIN benchmark_models AS m ON m.model = r.entry
ORDER BY
    test_sets.position, test_sets.test_set, m.pretraining_rank, m.family, m.num_parameters, m.entry;
