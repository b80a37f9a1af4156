-- NEEDS scaled_entries, matched
-- Accuracy of a ViT minus that of its ResNet of matched size, image by image, at each number of
-- pre-training images. Where several such pairs have the same two architectures and as many images,
-- the mean over the pairs.
CREATE TEMP TABLE data_pairs AS
SELECT DISTINCT
    vit.architecture AS vit,
    resnet.architecture AS resnet,
    vit.pretraining_images,
    vit.entry AS vit_entry,
    resnet.entry AS resnet_entry
FROM matched
JOIN scaled_models AS vit ON vit.model = matched.vit
JOIN scaled_models AS resnet ON resnet.model = matched.resnet;

CREATE TEMP TABLE data_differences AS
SELECT
    a.test_set,
    pairs.vit,
    pairs.resnet,
    pairs.pretraining_images,
    a.image,
    ordered_mean(
        a.num_correct / a.num_predictions - b.num_correct / b.num_predictions,
        (pairs.vit_entry, pairs.resnet_entry)) AS difference
FROM data_pairs AS pairs
JOIN entry_outcomes AS a ON a.entry = pairs.vit_entry
JOIN entry_outcomes AS b
    ON b.entry = pairs.resnet_entry AND b.test_set = a.test_set AND b.image = a.image
GROUP BY a.test_set, pairs.vit, pairs.resnet, pairs.pretraining_images, a.image;

-- What the runs add to the variance of a difference, and the parts of its degrees of freedom.
CREATE TEMP TABLE data_run_variances AS
WITH members AS (
    SELECT
        vit,
        resnet,
        pretraining_images,
        count(*) OVER (PARTITION BY vit, resnet, pretraining_images) AS num_pairs,
        unnest([vit_entry, resnet_entry]) AS entry
    FROM data_pairs
),
weights AS (
    SELECT
        vit,
        resnet,
        pretraining_images,
        entry,
        (count(*) / any_value(num_pairs)) ** 2 AS weight
    FROM members
    GROUP BY vit, resnet, pretraining_images, entry
)
SELECT
    test_set,
    vit,
    resnet,
    pretraining_images,
    coalesce(ordered_sum(weight * run_variance, entry), 0) AS run_variance,
    ordered_sum(freedom_part(weight * run_variance, num_trainings - 1), entry) AS run_parts
FROM weights
JOIN entry_runs USING (entry)
GROUP BY test_set, vit, resnet, pretraining_images;
