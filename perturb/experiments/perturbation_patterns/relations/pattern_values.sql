-- NEEDS image_patterns, image_values
-- ADDS TO image_values
-- The ratio of a perturbation's energy on patch borders as a value by which models are compared: a
-- ViT's on the grid of its own patches, a ResNet's averaged over the grids of all ViTs, each ViT
-- counting once. Some models may lack an image: it adds nothing to them, and the deviations of the
-- other images from the mean are multiplied by n / (their number), as if all n were measured.
CREATE TEMP TABLE pattern_means AS
WITH grids AS (
    SELECT patch_size AS patch_px, count(*) / sum(count(*)) OVER () AS weight
    FROM benchmark_models
    WHERE family = 'vit'
    GROUP BY patch_size
)
SELECT
    p.model,
    p.patch_px,
    CASE WHEN p.family = 'vit' THEN 1.0 ELSE grids.weight END AS weight,
    ordered_mean(p.border_ratio, p.image_id) AS mean,
    count(p.border_ratio) AS num_images
FROM image_patterns AS p
JOIN grids USING (patch_px)
WHERE p.family = 'resnet' OR (p.family = 'vit' AND p.is_own_patch)
GROUP BY p.model, p.patch_px, p.family, grids.weight;

INSERT INTO model_values
SELECT 'patterns', model, ordered_sum(weight * mean, patch_px)
FROM pattern_means
GROUP BY model;

INSERT INTO image_values
SELECT
    'patterns',
    means.model,
    any_value(images.image),
    ordered_sum(
        means.weight * (means.mean + coalesce(p.border_ratio - means.mean, 0)
            * images.num_images / means.num_images), means.patch_px)
FROM pattern_means AS means
CROSS JOIN (
    SELECT
        image_id,
        row_number() OVER (ORDER BY image_id) AS image,
        count(*) OVER () AS num_images
    FROM image_patterns
    WHERE border_ratio IS NOT NULL
    GROUP BY image_id
) AS images
LEFT JOIN image_patterns AS p
    ON p.model = means.model AND p.patch_px = means.patch_px AND p.image_id = images.image_id
GROUP BY means.model, images.image_id;
