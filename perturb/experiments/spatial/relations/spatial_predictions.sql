-- NEEDS spatial_outcomes
-- Predictions on rotated and shifted images: the worst of the grid (sample 0), and a random sample
-- of the grid's points, independent of the predictions. Translations are in pixels of the model's
-- preprocessing.
CREATE TEMP TABLE spatial_predictions AS
SELECT
    m.model,
    predictions.image,
    predictions.condition = 'grid' AS is_worst,
    predictions.sample::INTEGER AS sample,
    predictions.is_correct::BIGINT AS num_correct,
    round(predictions.rotation_deg::DOUBLE, 3) AS rotation_deg,
    greatest(abs(predictions.translation_x_px), abs(predictions.translation_y_px)) AS translation_px
FROM short_predictions AS predictions
JOIN benchmark_models AS m ON m.model = predictions.model
WHERE predictions.perturbation = 'spatial';
