-- Difference of accuracy of every ViT and its ResNet of matched size, paired by image.
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    vit.pretraining_label,
    matched.vit,
    matched.resnet,
    vit.architecture_label AS vit_label,
    resnet.architecture_label AS resnet_label,
    matched.parameter_ratio,
    matched.is_series,
    vit_accuracy.value AS vit_accuracy,
    resnet_accuracy.value AS resnet_accuracy,
    contrasts.estimate AS difference,
    contrasts.low AS difference_low,
    contrasts.high AS difference_high,
    contrasts.num_images,
    clean.d / clean.n AS clean_difference,
    difference_low(clean.d, clean.d2, clean.d2, clean.n, 1) AS clean_difference_low,
    difference_high(clean.d, clean.d2, clean.d2, clean.n, 1) AS clean_difference_high
FROM matched
JOIN contrasts ON contrasts.kind = 'pair' AND contrasts.name = matched.vit
JOIN test_sets USING (test_set)
JOIN benchmark_models AS vit ON vit.model = matched.vit
JOIN benchmark_models AS resnet ON resnet.model = matched.resnet
JOIN model_values AS vit_accuracy
    ON vit_accuracy.model = matched.vit AND vit_accuracy.test_set = contrasts.test_set
JOIN model_values AS resnet_accuracy
    ON resnet_accuracy.model = matched.resnet AND resnet_accuracy.test_set = contrasts.test_set
LEFT JOIN clean_differences AS clean USING (kind, name, test_set)
WHERE test_sets.experiment IN ('benchmarks', 'corruptions', 'attacks', 'spatial')
ORDER BY
    test_sets.position, test_sets.test_set, vit.pretraining_rank, vit.num_parameters, matched.vit;
