-- NEEDS benchmark_models
-- Whether a stimulus was taken for its shape's class or for its texture's. Where both are one
-- class a decision says nothing: those stimuli are left out.
CREATE TEMP TABLE cue_outcomes AS
SELECT
    decisions.dataset::VARCHAR AS dataset,
    m.model,
    decisions.image_id,
    stimuli.target::INTEGER AS shape_class,
    coalesce(stimuli.target_label, 'Class ' || stimuli.target) AS shape_class_label,
    (decisions.prediction = stimuli.target)::BIGINT AS is_shape,
    (decisions.prediction = stimuli.texture)::BIGINT AS is_texture
FROM decisions
JOIN datasets ON datasets.dataset = decisions.dataset AND datasets.role = 'cue_conflict'
JOIN stimuli ON stimuli.image_id = decisions.image_id
JOIN benchmark_models AS m ON m.model = decisions.model
WHERE decisions.perturbation = 'none' AND stimuli.target <> stimuli.texture;
