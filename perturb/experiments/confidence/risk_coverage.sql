-- Error of the most confident predictions, by how many of them are kept.
SELECT
    m.*,
    test_sets.test_set,
    test_sets.test_set_label,
    found.corruption_severity,
    found.place / 100 AS coverage,
    found.place || ' %' AS coverage_label,
    found.value AS selective_error,
    found.low AS selective_error_low,
    found.high AS selective_error_high,
    found.num_images,
    found.num_predictions
FROM confidence_values AS found
JOIN model_columns AS m USING (model)
JOIN test_sets USING (test_set)
WHERE found.measure = 'selective_error'
ORDER BY
    test_sets.position, test_set, corruption_severity NULLS FIRST,
    m.pretraining_rank, m.family, m.num_parameters, m.model, coverage;
