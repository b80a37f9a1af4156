-- NEEDS benchmark_models, ids
-- Predictions of a stimulus's shape class or texture class. Stimuli whose shape and texture are of
-- one class are excluded.
CREATE TEMP TABLE cue_outcomes AS
SELECT
    predictions.dataset::VARCHAR AS dataset,
    m.model,
    predictions.image,
    stimuli.target::INTEGER AS shape_class,
    coalesce(stimuli.target_label, 'Class ' || stimuli.target) AS shape_class_label,
    (predictions.prediction = stimuli.target)::BIGINT AS is_shape,
    (predictions.prediction = stimuli.texture)::BIGINT AS is_texture
FROM short_predictions AS predictions
JOIN datasets ON datasets.dataset = predictions.dataset AND datasets.role = 'cue_conflict'
JOIN stimuli ON stimuli.image_id = predictions.image_id
JOIN benchmark_models AS m ON m.model = predictions.model
WHERE predictions.perturbation = 'none' AND stimuli.target <> stimuli.texture;

-- Shape bias = S / (S + T), over all stimuli (class NULL) and by the class of the shape; predictions
-- of neither count only in the two rates.
CREATE TEMP VIEW cue_rates AS
WITH counts AS (
    SELECT
        dataset,
        model,
        shape_class,
        shape_class_label,
        count(*) AS n,
        sum(is_shape)::BIGINT AS s,
        sum(is_texture)::BIGINT AS t
    FROM cue_outcomes
    GROUP BY GROUPING SETS (
        (dataset, model), (dataset, model, shape_class, shape_class_label))
)
SELECT
    model,
    dataset,
    shape_class,
    shape_class_label,
    n AS num_images,
    s AS num_shape,
    t AS num_texture,
    s / nullif(s + t, 0) AS shape_bias,
    CASE WHEN s + t > 0 THEN wilson_low(s, s + t) END AS shape_bias_low,
    CASE WHEN s + t > 0 THEN wilson_high(s, s + t) END AS shape_bias_high,
    s / n AS shape_rate,
    wilson_low(s, n) AS shape_rate_low,
    wilson_high(s, n) AS shape_rate_high,
    t / n AS texture_rate,
    wilson_low(t, n) AS texture_rate_low,
    wilson_high(t, n) AS texture_rate_high
FROM counts;
