-- Figure 4: the straight line log10(error) = intercept + slope * log10(parameters), for each family
-- and test set, at the largest pre-training set with models.
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    c.kind = 'slope_difference' AS is_difference,
    CASE c.name WHEN 'vit' THEN 'ViT' WHEN 'resnet' THEN 'ResNet'
        WHEN 'vit - resnet' THEN 'ViT minus ResNet' ELSE c.name END AS family_label,
    c.pretraining,
    c.estimate AS slope,
    c.low AS slope_low,
    c.high AS slope_high,
    c.num_models,
    c.num_images,
    c.models
FROM contrasts AS c
JOIN test_sets USING (test_set)
WHERE test_sets.experiment IN ('benchmarks', 'corruptions')
    AND c.kind IN ('error_slope', 'slope_difference')
    AND c.pretraining_rank = (SELECT max(pretraining_rank) FROM compared_models)
ORDER BY test_sets.position, test_sets.test_set, is_difference, c.name;
