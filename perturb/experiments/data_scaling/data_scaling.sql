-- Accuracy of every model over the number of its pre-training images, as the mean of its runs. The
-- interval covers the images and, like random draws, the runs.
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
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    m.model,
    m.entry_label AS architecture_label,
    m.family,
    m.size,
    m.patch_size,
    m.num_parameters,
    m.pretraining,
    m.pretraining_label,
    m.pretraining_rank,
    m.pretraining_images,
    r.num_trainings,
    q.num_images,
    q.num_predictions,
    q.accuracy,
    drawn_low(q.accuracy, q.image_low, r.run_variance, r.num_trainings) AS accuracy_low,
    drawn_high(q.accuracy, q.image_high, r.run_variance, r.num_trainings) AS accuracy_high
FROM sums AS q
JOIN entry_runs AS r USING (test_set, entry)
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
