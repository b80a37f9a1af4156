-- NEEDS spatial_outcomes
-- Decisions on rotated and shifted images: the worst of the grid (sample 0), and a random sample
-- of the grid's points, whatever was decided there. Translations are in pixels of the model's view.
CREATE TEMP TABLE spatial_decisions AS
SELECT
    m.model,
    decisions.image_id,
    decisions.condition = 'grid' AS is_worst,
    decisions.sample::INTEGER AS sample,
    decisions.is_correct::BIGINT AS num_correct,
    round(decisions.rotation_deg::DOUBLE, 3) AS rotation_deg,
    greatest(abs(decisions.translation_x_px), abs(decisions.translation_y_px)) AS translation_px
FROM decisions
JOIN benchmark_models AS m ON m.model = decisions.model
WHERE decisions.perturbation = 'spatial';
