-- Figure 2: accuracy of every model on every test set.
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    o.dataset::VARCHAR AS dataset,
    m.*,
    any_value(clean_chance.warning) AS warning,
    any_value(datasets.chosen_by) AS chosen_by,
    count(*) AS num_images,
    sum(o.num_predictions)::BIGINT AS num_predictions,
    sum(o.num_correct) / sum(o.num_predictions) AS accuracy,
    accuracy_low(sum(o.num_correct), sum(o.num_correct ** 2), count(*), max(o.num_predictions))
        AS accuracy_low,
    accuracy_high(sum(o.num_correct), sum(o.num_correct ** 2), count(*), max(o.num_predictions))
        AS accuracy_high,
    CASE WHEN max(o.num_predictions) = 1 THEN 'Wilson' ELSE 'clustered by image' END AS interval,
    any_value(clean.k / clean.n) AS clean_accuracy,
    any_value(wilson_low(clean.k, clean.n)) AS clean_accuracy_low,
    any_value(wilson_high(clean.k, clean.n)) AS clean_accuracy_high
FROM image_outcomes AS o
JOIN test_sets USING (test_set)
JOIN datasets ON datasets.dataset = o.dataset
JOIN model_columns AS m USING (model)
LEFT JOIN clean_chance USING (model)
LEFT JOIN clean_sums AS clean ON clean.test_set = o.test_set AND clean.model = o.model
WHERE test_sets.experiment IN ('benchmarks', 'corruptions')
GROUP BY ALL
ORDER BY
    min(test_sets.position), min(o.dataset), m.pretraining_rank, m.family, m.num_parameters, m.model;
