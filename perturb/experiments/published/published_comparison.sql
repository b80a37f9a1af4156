-- Measured top-1 and timm's published top-1, where the full tag of the weights is timm's. The
-- results of ImageNet-R and -A are predictions among their 200 classes, as are those on the clean
-- images of these classes. On the same images there is no sampling error; the tolerance covers
-- preprocessing, precision and kernels.
WITH found AS (
    SELECT
        datasets.published AS benchmark,
        o.model,
        count(*) AS num_images,
        sum(o.num_correct) AS k
    FROM image_outcomes AS o
    JOIN datasets USING (dataset)
    WHERE o.test_set IN (SELECT test_set FROM test_sets WHERE experiment = 'benchmarks')
        AND datasets.published NOT IN ('imagenet-r', 'imagenet-a')
    GROUP BY ALL
    UNION ALL
    SELECT
        datasets.published || CASE WHEN is_clean THEN '-clean200' ELSE '' END,
        o.model,
        count(*),
        sum(o.subset_correct)
    FROM subset_outcomes AS o
    JOIN datasets ON datasets.dataset = o.subset
    WHERE datasets.published IN ('imagenet-r', 'imagenet-a')
        AND (NOT is_clean
            OR EXISTS (FROM datasets WHERE role = 'clean' AND published = 'imagenet'))
    GROUP BY ALL
),
pairs AS (
    SELECT
        m.model,
        p.*,
        found.num_images,
        k / num_images AS ours,
        wilson_low(k, num_images) AS ours_low,
        wilson_high(k, num_images) AS ours_high,
        ours - p.value AS published_difference,
        published_difference - difference_reach(
            ours - ours_low, num_images, 0, p.population, p.population)
            AS published_difference_low,
        published_difference + difference_reach(
            ours_high - ours, num_images, 0, p.population, p.population)
            AS published_difference_high
    FROM found
    JOIN benchmark_models AS m USING (model)
    JOIN published_top1 AS p ON p.timm_tag = m.timm_tag AND p.benchmark = found.benchmark
),
benchmarks AS (
    FROM (VALUES
        ('imagenet', 'Clean', 1),
        ('imagenet-real', 'ReaL labels', 2),
        ('imagenetv2-matched-frequency', 'ImageNet-V2', 3),
        ('sketch', 'Sketch', 4),
        ('imagenet-r', 'ImageNet-R, 200 classes', 5),
        ('imagenet-r-clean200', 'Clean, 200 classes of -R', 6),
        ('imagenet-a', 'ImageNet-A, 200 classes', 7),
        ('imagenet-a-clean200', 'Clean, 200 classes of -A', 8)
    ) AS labels (benchmark, benchmark_label, position)
)
SELECT
    m.*,
    pairs.timm_tag,
    benchmark,
    benchmark_label,
    pairs.image_side,
    pairs.crop,
    pairs.interpolation,
    pairs.num_images,
    pairs.ours,
    pairs.ours_low,
    pairs.ours_high,
    pairs.value AS published_value,
    pairs.tolerance,
    pairs.published_difference,
    pairs.published_difference_low,
    pairs.published_difference_high,
    published_difference_low <= tolerance AND published_difference_high >= -tolerance
        AS is_within
FROM pairs
JOIN benchmarks USING (benchmark)
JOIN model_columns AS m USING (model)
ORDER BY
    benchmarks.position, m.pretraining_rank, m.family, m.num_parameters, m.model;
