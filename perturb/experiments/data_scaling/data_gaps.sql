-- Accuracy of a ViT minus that of the ResNet of matched size at each number of pre-training images
-- that both were trained with, paired by image; the runs add to the variance.
WITH sums AS (
    SELECT
        test_set,
        vit,
        resnet,
        pretraining_images,
        count(*) AS n,
        ordered_sum(difference, image) AS sum_d,
        ordered_sum(difference ** 2, image) AS sum_d2,
        ordered_sum(difference ** 4, image) AS sum_d4
    FROM data_differences
    GROUP BY test_set, vit, resnet, pretraining_images
),
variances AS (
    SELECT
        *,
        contrast_centre(sum_d, n) AS centre,
        contrast_variance(sum_d, sum_d2, sum_d4, n, 1) + run_variance AS variance,
        count(*) OVER (PARTITION BY test_set, vit, resnet) AS num_sets
    FROM sums
    JOIN data_run_variances USING (test_set, vit, resnet, pretraining_images)
),
freedoms AS (
    SELECT *, total_freedom(variance, run_variance, run_parts) AS freedom
    FROM variances
    WHERE num_sets > 1
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    vit.label AS vit_label,
    resnet.label AS resnet_label,
    vit.size,
    vit.num_parameters / resnet.num_parameters AS parameter_ratio,
    f.pretraining_images,
    f.sum_d / f.n AS difference,
    at_least(-1, interval_low(centre, variance, freedom)) AS difference_low,
    at_most(1, interval_high(centre, variance, freedom)) AS difference_high,
    f.n AS num_images
FROM freedoms AS f
JOIN test_sets ON test_sets.test_set = f.test_set
JOIN scaled_architectures AS vit ON vit.architecture = f.vit
JOIN scaled_architectures AS resnet ON resnet.architecture = f.resnet
WHERE test_sets.experiment IN ('benchmarks', 'corruptions', 'attacks', 'spatial')
ORDER BY
    test_sets.position,
    test_sets.test_set,
    vit.num_parameters,
    f.vit,
    f.resnet,
    f.pretraining_images;
