-- Accuracy of each run of the models that are trained several times, on every test set.
WITH values AS (
    SELECT
        test_set,
        model,
        count(*) AS num_images,
        sum(num_correct) / sum(num_predictions) AS accuracy,
        accuracy_low(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS accuracy_low,
        accuracy_high(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS accuracy_high
    FROM image_outcomes
    GROUP BY test_set, model
),
means AS (
    SELECT test_set, entry, ordered_mean(accuracy, run) AS mean_accuracy
    FROM values
    JOIN benchmark_models USING (model)
    GROUP BY test_set, entry
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    m.model,
    m.entry,
    m.run,
    m.entry_label AS architecture_label,
    m.pretraining,
    m.pretraining_label,
    m.pretraining_rank,
    v.num_images,
    v.accuracy,
    v.accuracy_low,
    v.accuracy_high,
    v.accuracy - means.mean_accuracy AS run_difference
FROM values AS v
JOIN test_sets USING (test_set)
JOIN benchmark_models AS m USING (model)
JOIN means USING (test_set, entry)
WHERE m.num_runs > 1
ORDER BY
    test_sets.position,
    test_sets.test_set,
    m.pretraining_rank,
    m.family,
    m.num_parameters,
    m.entry,
    m.run;
