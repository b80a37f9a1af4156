-- Accuracy of the predictions of each bin of confidence.
SELECT
    m.*,
    test_sets.test_set,
    test_sets.test_set_label,
    found.corruption_severity,
    found.place AS confidence_bin,
    found.size AS bin_size,
    found.confidence AS bin_confidence,
    found.value AS bin_accuracy,
    found.low AS bin_accuracy_low,
    found.high AS bin_accuracy_high,
    found.num_images,
    found.num_predictions
FROM confidence_values AS found
JOIN model_columns AS m USING (model)
JOIN test_sets USING (test_set)
WHERE found.measure = 'bin_accuracy'
ORDER BY
    test_sets.position, test_set, corruption_severity NULLS FIRST,
    m.pretraining_rank, m.family, m.num_parameters, m.model, confidence_bin;
