-- NEEDS benchmark_models
-- Measures of the perturbations of the models under test, for each image.
CREATE TEMP TABLE image_patterns AS
SELECT
    m.model,
    m.family,
    m.patch_size,
    patterns.patch_px,
    coalesce(m.patch_size = patterns.patch_px, false) AS is_own_patch,
    patterns.image_id,
    patterns.border_ratio::DOUBLE AS border_ratio,
    patterns.foreground_ratio::DOUBLE AS foreground_ratio
FROM patterns
JOIN benchmark_models AS m ON m.model = patterns.model
-- The measures include more grids than those of this study's models, so that another model changes
-- none.
WHERE patterns.patch_px IN (SELECT patch_size FROM models);
