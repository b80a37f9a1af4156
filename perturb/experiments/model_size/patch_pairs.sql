-- ViTs of one size and pre-training set that differ in their patches: value of the ViT with the
-- largest patches minus that of the ViT with the smallest, paired by image.
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    large.pretraining_label,
    pairs.large,
    pairs.small,
    large.architecture_label AS large_label,
    small.architecture_label AS small_label,
    large_value.value AS large_value,
    small_value.value AS small_value,
    contrasts.estimate AS patch_difference,
    contrasts.low AS patch_difference_low,
    contrasts.high AS patch_difference_high,
    contrasts.num_images,
    clean.d / clean.n AS clean_patch_difference,
    difference_low(clean.d, clean.d2, clean.d2, clean.n, 1) AS clean_patch_difference_low,
    difference_high(clean.d, clean.d2, clean.d2, clean.n, 1) AS clean_patch_difference_high
FROM patch_pairs AS pairs
JOIN contrasts ON contrasts.kind = 'patch_pair' AND contrasts.name = pairs.large
JOIN test_sets USING (test_set)
JOIN benchmark_models AS large ON large.model = pairs.large
JOIN benchmark_models AS small ON small.model = pairs.small
JOIN model_values AS large_value
    ON large_value.model = pairs.large AND large_value.test_set = contrasts.test_set
JOIN model_values AS small_value
    ON small_value.model = pairs.small AND small_value.test_set = contrasts.test_set
LEFT JOIN clean_differences AS clean USING (kind, name, test_set)
WHERE test_sets.experiment IN (
    'benchmarks', 'corruptions', 'attacks', 'spatial', 'shape_bias')
ORDER BY
    test_sets.position,
    test_sets.test_set,
    large.pretraining_rank,
    large.num_parameters,
    pairs.large;
