-- NEEDS benchmark_models
-- Predictions of a stimulus's shape class or texture class. Stimuli whose shape and texture are of
-- one class are excluded.
CREATE TEMP TABLE cue_outcomes AS
SELECT
    predictions.dataset::VARCHAR AS dataset,
    m.model,
    predictions.image_id,
    stimuli.target::INTEGER AS shape_class,
    coalesce(stimuli.target_label, 'Class ' || stimuli.target) AS shape_class_label,
    (predictions.prediction = stimuli.target)::BIGINT AS is_shape,
    (predictions.prediction = stimuli.texture)::BIGINT AS is_texture
FROM predictions
JOIN datasets ON datasets.dataset = predictions.dataset AND datasets.role = 'cue_conflict'
JOIN stimuli ON stimuli.image_id = predictions.image_id
JOIN benchmark_models AS m ON m.model = predictions.model
WHERE predictions.perturbation = 'none' AND stimuli.target <> stimuli.texture;
