-- NEEDS benchmark_models, ids
-- Predictions restricted to the classes of one dataset (the condition), on this dataset and on the
-- clean images of its classes, and the predictions among all classes on the same images.
CREATE TEMP TABLE subset_classes AS
SELECT dataset::VARCHAR AS subset, target
FROM predictions
WHERE perturbation = 'class_subset' AND dataset = condition
GROUP BY ALL;

CREATE TEMP TABLE subset_outcomes AS
SELECT
    predictions.condition::VARCHAR AS subset,
    predictions.dataset <> predictions.condition AS is_clean,
    m.model,
    predictions.image,
    predictions.is_correct::BIGINT AS subset_correct,
    whole.is_correct::BIGINT AS all_correct
FROM short_predictions AS predictions
JOIN benchmark_models AS m ON m.model = predictions.model
JOIN datasets ON datasets.dataset = predictions.dataset
JOIN subset_classes
    ON subset_classes.subset = predictions.condition AND subset_classes.target = predictions.target
LEFT JOIN short_predictions AS whole
    ON whole.perturbation = 'none'
    AND whole.model = predictions.model
    AND whole.dataset = predictions.dataset
    AND whole.image = predictions.image
WHERE predictions.perturbation = 'class_subset'
    AND (predictions.dataset = predictions.condition OR datasets.role = 'clean');
