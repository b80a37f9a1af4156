-- Accuracy of the predictions of each bin of confidence.
SELECT
    m.*,
    test_sets.test_set,
    test_sets.test_set_label,
    found.corruption_severity,
    found.place AS confidence_bin,
    c.n AS bin_size,
    found.confidence AS bin_confidence,
    c.k / c.n AS bin_accuracy,
    -- Of one image a bin may hold several predictions.
    ratio_low(c.k, c.n, c.kk, c.kn, c.nn, c.images) AS bin_accuracy_low,
    ratio_high(c.k, c.n, c.kk, c.kn, c.nn, c.images) AS bin_accuracy_high,
    found.num_images,
    found.num_predictions
FROM (SELECT *, counts AS c FROM confidence_values) AS found
JOIN model_columns AS m USING (model)
JOIN test_sets USING (test_set)
WHERE found.measure = 'bin_accuracy'
ORDER BY
    test_sets.position, test_set, corruption_severity NULLS FIRST,
    m.pretraining_rank, m.family, m.num_parameters, m.model, confidence_bin;
