-- Relative robustness at matched clean accuracy: each ViT minus the ResNet whose clean accuracy is
-- nearest to its own, if the two differ by at most two percentage points, paired by image.
WITH clean AS (
    SELECT m.*, v.value
    FROM compared_models AS m
    JOIN model_values AS v ON v.model = m.model AND v.test_set = 'clean'
),
candidates AS (
    SELECT
        vit.model AS vit,
        resnet.model AS resnet,
        row_number() OVER (
            PARTITION BY vit.model ORDER BY round(abs(vit.value - resnet.value), 12), resnet.model
        ) AS place
    FROM clean AS vit
    JOIN clean AS resnet ON vit.family = 'vit' AND resnet.family = 'resnet'
        AND abs(vit.value - resnet.value) < 0.02 + 1e-12
),
pairs AS (
    SELECT vit, resnet
    FROM candidates
    WHERE place = 1
),
sums AS (
    SELECT
        a.test_set::VARCHAR AS test_set,
        pairs.vit,
        pairs.resnet,
        count(*) AS n,
        ordered_sum(a.value - b.value, a.image) AS d,
        ordered_sum((a.value - b.value) ** 2, a.image) AS d2,
        ordered_sum((a.value - b.value) ** 4, a.image) AS d4
    FROM pairs
    JOIN image_values AS a ON a.model = pairs.vit
    JOIN image_values AS b
        ON b.model = pairs.resnet AND b.test_set = a.test_set AND b.image = a.image
    GROUP BY ALL
),
gaps AS (
    SELECT
        *,
        d / n AS gap,
        contrast_low(d, d2, d4, n, 1) AS low,
        contrast_high(d, d2, d4, n, 1) AS high
    FROM sums
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    gaps.vit AS vit_model,
    gaps.resnet AS resnet_model,
    name_with_set(vit.architecture_label, vit.pretraining_label) AS vit_name,
    name_with_set(resnet.architecture_label, resnet.pretraining_label) AS resnet_name,
    clean.gap AS clean_gap,
    clean.low AS clean_gap_low,
    clean.high AS clean_gap_high,
    clean.n AS num_unperturbed,
    gaps.gap AS matched_gap,
    gaps.low AS matched_gap_low,
    gaps.high AS matched_gap_high,
    gaps.n AS num_images
FROM gaps
JOIN gaps AS clean ON clean.test_set = 'clean' AND clean.vit = gaps.vit
JOIN test_sets ON test_sets.test_set = gaps.test_set
JOIN benchmark_models AS vit ON vit.model = gaps.vit
JOIN benchmark_models AS resnet ON resnet.model = gaps.resnet
WHERE gaps.test_set <> 'clean'
    AND test_sets.experiment IN ('benchmarks', 'corruptions', 'attacks', 'spatial')
ORDER BY
    test_sets.position, test_sets.test_set, vit.pretraining_rank, vit.num_parameters, gaps.vit;
