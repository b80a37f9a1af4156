-- NEEDS image_outcomes
-- Predictions of images computed against a source model, which may be the same model.
CREATE TEMP TABLE transfer_predictions AS
SELECT
    source.model AS source,
    source.family AS source_family,
    target.model AS target,
    target.family AS target_family,
    predictions.severity AS epsilon,
    epsilon_gray(predictions.severity) AS epsilon_gray,
    predictions.image,
    clean.num_correct AS clean_correct,
    predictions.is_correct::BIGINT AS num_correct
FROM short_predictions AS predictions
JOIN benchmark_models AS source ON source.model = predictions.condition
JOIN benchmark_models AS target ON target.model = predictions.model
JOIN image_outcomes AS clean
    ON clean.dataset = predictions.dataset
    AND clean.test_set IN ('clean', clean.dataset)
    AND clean.model = predictions.model
    AND clean.image = predictions.image
WHERE predictions.perturbation = 'transfer';
