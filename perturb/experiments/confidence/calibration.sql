-- How well confidence states the accuracy, and tells right predictions from wrong ones.
WITH measures AS (
    SELECT
        model,
        test_set,
        corruption_severity,
        num_images,
        num_predictions,
        any_value(counts) AS c,
        max(value) FILTER (measure = 'mean_confidence') AS mean_confidence,
        max(low) FILTER (measure = 'mean_confidence') AS mean_confidence_low,
        max(high) FILTER (measure = 'mean_confidence') AS mean_confidence_high,
        max(value) FILTER (measure = 'calibration_error') AS calibration_error,
        max(low) FILTER (measure = 'calibration_error') AS calibration_error_low,
        max(high) FILTER (measure = 'calibration_error') AS calibration_error_high,
        max(value) FILTER (measure = 'plain_calibration_error') AS plain_calibration_error,
        max(value) FILTER (measure = 'brier_score') AS brier_score,
        max(low) FILTER (measure = 'brier_score') AS brier_score_low,
        max(high) FILTER (measure = 'brier_score') AS brier_score_high,
        max(value) FILTER (measure = 'log_loss') AS log_loss,
        max(low) FILTER (measure = 'log_loss') AS log_loss_low,
        max(high) FILTER (measure = 'log_loss') AS log_loss_high,
        max(value) FILTER (measure = 'auroc') AS auroc,
        max(low) FILTER (measure = 'auroc') AS auroc_low,
        max(high) FILTER (measure = 'auroc') AS auroc_high,
        max(value) FILTER (measure = 'aurc') AS aurc,
        max(low) FILTER (measure = 'aurc') AS aurc_low,
        max(high) FILTER (measure = 'aurc') AS aurc_high
    FROM confidence_values
    WHERE place IS NULL
    GROUP BY model, test_set, corruption_severity, num_images, num_predictions
)
SELECT
    m.*,
    test_sets.test_set,
    test_sets.test_set_label,
    measures.corruption_severity,
    measures.num_images,
    measures.num_predictions,
    c.k / c.n AS accuracy,
    -- Every image has as many predictions.
    accuracy_low(c.k, c.kk, c.images, c.n / c.images) AS accuracy_low,
    accuracy_high(c.k, c.kk, c.images, c.n / c.images) AS accuracy_high,
    measures.* EXCLUDE (model, test_set, corruption_severity, num_images, num_predictions, c)
FROM measures
JOIN model_columns AS m USING (model)
JOIN test_sets USING (test_set)
ORDER BY
    test_sets.position, test_set, corruption_severity NULLS FIRST,
    m.pretraining_rank, m.family, m.num_parameters, m.model;
