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
    i.num_images,
    i.accuracy,
    drawn_low(i.accuracy, i.image_low, run_deviation ** 2 / r.num_runs, r.num_runs)
        AS accuracy_low,
    drawn_high(i.accuracy, i.image_high, run_deviation ** 2 / r.num_runs, r.num_runs)
        AS accuracy_high,
    r.run_deviation,
    (i.image_high - i.image_low) / (2 * z95()) AS image_error,
    i.image_low,
    i.image_high,
    r.lowest_accuracy,
    r.highest_accuracy
FROM of_images AS i
JOIN of_runs AS r USING (test_set, entry)
JOIN test_sets USING (test_set)
JOIN benchmark_models AS m ON m.model = entry
ORDER BY
    test_sets.position, test_sets.test_set, m.pretraining_rank, m.family, m.num_parameters, m.entry;
