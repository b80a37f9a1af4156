-- Figure 5 as numbers: means over images of two ratios of perturbations, at the borders of patches
-- and on the object; 1 means no preference.
WITH summary AS (
    SELECT
        model,
        patch_px,
        is_own_patch,
        count(border_ratio) AS num_images,
        ordered_mean(border_ratio, image_id) AS border_ratio,
        mean_half_width(border_ratio, image_id) AS border_half_width,
        count(foreground_ratio) AS num_foregrounds,
        ordered_mean(foreground_ratio, image_id) AS foreground_ratio,
        mean_half_width(foreground_ratio, image_id) AS foreground_half_width
    FROM image_patterns
    GROUP BY model, patch_px, is_own_patch
)
SELECT
    m.*,
    s.patch_px,
    s.is_own_patch,
    s.num_images,
    s.border_ratio,
    s.border_ratio - s.border_half_width AS border_ratio_low,
    s.border_ratio + s.border_half_width AS border_ratio_high,
    s.num_foregrounds,
    s.foreground_ratio,
    s.foreground_ratio - s.foreground_half_width AS foreground_ratio_low,
    s.foreground_ratio + s.foreground_half_width AS foreground_ratio_high
FROM summary AS s
JOIN model_columns AS m USING (model)
ORDER BY m.pretraining_rank, m.family, m.num_parameters, m.model, s.patch_px;
