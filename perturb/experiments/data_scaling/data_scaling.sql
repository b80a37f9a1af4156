-- Accuracy of every model over the number of its pre-training images, as the mean of its runs.
-- Variances of images and of runs add; the quantile is then Student's (Satterthwaite).
WITH sums AS (
    SELECT
        test_set,
        entry,
        count(*) AS num_images,
        sum(num_predictions)::BIGINT AS num_predictions,
        sum(num_correct) / sum(num_predictions) AS accuracy,
        accuracy_low(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS image_low,
        accuracy_high(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS image_high
    FROM entry_outcomes
    GROUP BY test_set, entry
),
sides AS (
    SELECT
        *,
        ((accuracy - image_low) / z95()) ** 2 AS variance_low,
        ((image_high - accuracy) / z95()) ** 2 AS variance_high,
        (num_trainings - 1) / run_variance ** 2 AS run_precision,
        greatest(1, num_images - 1) AS freedom
    FROM sums
    JOIN entry_runs USING (test_set, entry)
),
quantiles AS (
    SELECT
        *,
        student_quantile(
            0.975,
            (variance_low + run_variance) ** 2
            / (variance_low ** 2 / freedom + 1 / run_precision)) AS quantile_low,
        student_quantile(
            0.975,
            (variance_high + run_variance) ** 2
            / (variance_high ** 2 / freedom + 1 / run_precision)) AS quantile_high
    FROM sides
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    m.model,
    m.architecture_label,
    m.family,
    m.size,
    m.patch_size,
    m.num_parameters,
    m.pretraining,
    m.pretraining_label,
    m.pretraining_rank,
    m.pretraining_images,
    q.num_trainings,
    q.num_images,
    q.num_predictions,
    q.accuracy,
    CASE WHEN q.run_variance > 0
        THEN greatest(0.0, q.accuracy - q.quantile_low * sqrt(q.variance_low + q.run_variance))
        ELSE q.image_low END AS accuracy_low,
    CASE WHEN q.run_variance > 0
        THEN least(1.0, q.accuracy + q.quantile_high * sqrt(q.variance_high + q.run_variance))
        ELSE q.image_high END AS accuracy_high
FROM quantiles AS q
JOIN test_sets USING (test_set)
JOIN scaled_models AS m ON m.model = q.entry
WHERE test_sets.experiment IN ('benchmarks', 'corruptions', 'attacks', 'spatial')
ORDER BY
    test_sets.position,
    test_sets.test_set,
    m.family,
    m.num_parameters,
    m.pretraining_images,
    m.model;
