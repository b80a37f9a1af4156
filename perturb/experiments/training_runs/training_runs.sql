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
        run_deviation ** 2 / num_runs AS of_run,
        (num_images - 1)::DOUBLE AS image_freedom,
        (num_runs - 1)::DOUBLE AS run_freedom
    FROM of_images
    JOIN of_runs USING (test_set, entry)
),
-- Satterthwaite's degrees of freedom of their sum. Without any variance, there is no reach.
reaches AS (
    SELECT
        *,
        CASE WHEN below + of_run > 0 AND num_images > 1 THEN (below + of_run) ** 2
            / (below ** 2 / image_freedom + of_run ** 2 / run_freedom) END AS freedom_below,
        CASE WHEN above + of_run > 0 AND num_images > 1 THEN (above + of_run) ** 2
            / (above ** 2 / image_freedom + of_run ** 2 / run_freedom) END AS freedom_above,
        coalesce(student_quantile(0.975, freedom_below) * sqrt(below + of_run), 0) AS reach_below,
        coalesce(student_quantile(0.975, freedom_above) * sqrt(above + of_run), 0) AS reach_above
    FROM variances
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
