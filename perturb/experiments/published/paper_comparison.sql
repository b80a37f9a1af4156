-- Measured values and the paper's, where architecture and pre-training set are the paper's. Within:
-- the difference is no larger than the reading precision of the figure and the sampling of images,
-- and of random sets of layers or masks, explain.
WITH pairs AS (
    SELECT
        o.*,
        p.* EXCLUDE (model, pretraining, quantity, condition, level, num_images, num_samples),
        p.value AS paper_value,
        o.sample_variance * (1 / o.num_samples + 1 / p.num_samples) AS sets_variance,
        difference_reach(
            ours - ours_low, o.num_images, wilson_high(p.value * p.num_images, p.num_images)
            - p.value, p.num_images, p.population) AS images_down,
        difference_reach(
            ours_high - ours, o.num_images, p.value
            - wilson_low(p.value * p.num_images, p.num_images), p.num_images, p.population)
            AS images_up,
        drawn_reach(images_down, sets_variance, o.num_samples) AS reach_down,
        drawn_reach(images_up, sets_variance, o.num_samples) AS reach_up
    FROM paper_outcomes AS o
    JOIN compared_models AS m USING (model)
    JOIN paper_figures AS p
        ON p.model = m.label
        AND p.pretraining = m.paper_pretraining
        AND p.quantity = o.quantity
        AND p.condition IS NOT DISTINCT FROM o.condition
        AND p.level IS NOT DISTINCT FROM o.level
        -- Distances in patches are compared on equal grids only.
        AND (p.grid_side IS NULL OR p.grid_side = m.grid_side)
),
quantities AS (
    FROM (VALUES
        ('clean', 'Clean', 1),
        ('corruptions', 'Corruptions (stored)', 2),
        ('renditions', 'Renditions, all classes', 3),
        ('natural_adversarial', 'Natural adversarial, all classes', 4),
        ('clean_attacked', 'Clean, attacked images', 5),
        ('fgsm', 'FGSM', 6),
        ('pgd', 'PGD', 7),
        ('spatial', 'Adversarial spatial', 8),
        ('shape_bias', 'Shape bias', 9),
        ('lesions_single', 'One layer removed', 10),
        ('lesions', 'Several layers removed', 11),
        ('restricted_attention', 'Restricted attention', 12),
        ('patch_attention', 'Patch attention removed', 13)
    ) AS labels (quantity, quantity_label, position)
)
SELECT
    m.*,
    'Figure ' || figure AS figure,
    quantity,
    quantity_label,
    CASE
        WHEN condition = 'none' THEN 'unchanged'
        WHEN quantity IN ('fgsm', 'pgd') THEN 'epsilon 1/255'
        WHEN quantity = 'lesions_single' THEN part_label || ' ' || level
        WHEN quantity = 'lesions' THEN part_label || ' x ' || level
        WHEN condition = 'window' THEN 'within ' || level || ' patches'
        WHEN condition = 'permuted' THEN 'as many as within ' || level || ', at random'
        WHEN quantity = 'patch_attention' THEN condition || ' ' || level || ' blocks'
    END AS setting,
    pairs.num_images,
    ours,
    ours_low,
    ours_high,
    pairs.clean_accuracy,
    pairs.clean_accuracy_low,
    pairs.clean_accuracy_high,
    paper_value,
    is_upper_bound,
    tolerance,
    CASE WHEN NOT is_upper_bound THEN ours - paper_value END AS paper_difference,
    paper_difference - reach_down AS paper_difference_low,
    paper_difference + reach_up AS paper_difference_high,
    ours - paper_value - reach_down <= tolerance
        AND (is_upper_bound OR ours - paper_value + reach_up >= -tolerance) AS is_within
FROM pairs
JOIN quantities USING (quantity)
JOIN model_columns AS m USING (model)
LEFT JOIN part_labels ON part_labels.part = pairs.condition
ORDER BY
    quantities.position, m.pretraining_rank, m.family, m.num_parameters, m.model,
    pairs.condition, pairs.level;
