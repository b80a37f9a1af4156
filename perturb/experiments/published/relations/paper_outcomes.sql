-- NEEDS attack_outcomes, spatial_outcomes, clean_outcomes, cue_outcomes, single_drops
-- Values of the paper's figures, measured on this study's models, under the names of
-- `paper_figures`. Only the paper's images count: those of the published datasets, and corruptions
-- only as stored files, since those made in memory are milder. Attacks and changes of the model are
-- on the clean set, which other checks ensure. Each value has the clean accuracy on the same
-- images.
CREATE TEMP VIEW paper_sets AS
SELECT dataset, role, published
FROM datasets
WHERE (role, published) IN (
    ('clean', 'imagenet'), ('renditions', 'imagenet-r'), ('natural_adversarial', 'imagenet-a'),
    ('corrupted', 'imagenet-c'), ('cue_conflict', 'cue-conflict'));

CREATE TEMP VIEW test_set_sums AS
SELECT
    test_set,
    dataset,
    model,
    count(*) AS n,
    max(num_predictions) AS num_predictions,
    sum(num_correct) AS k,
    sum(num_correct ** 2) AS k2
FROM image_outcomes
GROUP BY ALL;

-- The paper's attacks are at one gray level, and their clean accuracy is that on the attacked
-- images.
CREATE TEMP VIEW paper_attacks AS
SELECT attack AS quantity, model, image, is_correct::BIGINT AS num_correct
FROM attack_predictions
WHERE is_final AND epsilon_gray = 1 AND attack IN ('fgsm', 'pgd')
UNION ALL
SELECT 'spatial', model, image, num_correct
FROM image_outcomes
WHERE test_set = 'spatial';

CREATE TEMP VIEW attack_sums AS
WITH clean AS (
    SELECT model, image, num_correct
    FROM image_outcomes
    WHERE test_set = 'clean' AND image IN (SELECT image FROM paper_attacks)
)
SELECT
    quantity,
    a.model,
    count(*) AS n,
    sum(a.num_correct) AS k,
    sum(clean.num_correct) AS clean_k
FROM (
    FROM paper_attacks
    UNION ALL
    SELECT 'clean_attacked', model, image, num_correct
    FROM clean
) AS a
JOIN clean ON clean.model = a.model AND clean.image = a.image
GROUP BY quantity, a.model;

-- sample_variance: of the accuracy of one random set of layers, or of one random mask.
CREATE TEMP TABLE paper_outcomes AS
WITH benchmarks AS (
    SELECT test_set AS quantity, model, n, num_predictions, k, k2
    FROM test_set_sums
    JOIN paper_sets USING (dataset)
    WHERE test_set = role
    UNION ALL
    SELECT test_set AS quantity, model, n, num_predictions, k, k2
    FROM test_set_sums
    WHERE test_set = 'corruptions'
        AND num_predictions = 75
        AND EXISTS (FROM paper_sets WHERE role = 'corrupted')
),
shapes AS (
    SELECT model, count(*) AS n, sum(is_shape) AS s, sum(is_shape + is_texture) AS either
    FROM cue_outcomes
    WHERE EXISTS (FROM paper_sets WHERE role = 'cue_conflict')
    GROUP BY model
),
changes AS (
    SELECT
        perturbation AS quantity, condition, severity::INTEGER AS level, model, num_images,
        accuracy, images_low AS accuracy_low, images_high AS accuracy_high,
        accuracy_se ** 2 * num_samples AS sample_variance, num_samples, baseline_accuracy,
        baseline_accuracy_low, baseline_accuracy_high
    FROM drawn_accuracies
    WHERE perturbation IN ('lesions', 'restricted_attention', 'patch_attention')
        AND (perturbation <> 'lesions' OR severity > 1)
    UNION ALL
    SELECT
        'lesions_single', condition, sample, model, num_images, accuracy, accuracy_low,
        accuracy_high, NULL, 1, baseline_accuracy, baseline_accuracy_low, baseline_accuracy_high
    FROM single_drops
    WHERE perturbation = 'lesions'
    UNION ALL
    -- The unchanged model on the same images; each of the figures has it once.
    SELECT DISTINCT
        CASE perturbation WHEN 'lesions' THEN 'lesions_single' ELSE perturbation END,
        'none', NULL::INTEGER, model, num_images, baseline_accuracy, baseline_accuracy_low,
        baseline_accuracy_high, NULL, 1, baseline_accuracy, baseline_accuracy_low,
        baseline_accuracy_high
    FROM model_accuracies
    WHERE perturbation IN ('lesions', 'restricted_attention')
),
found AS (
    SELECT
        quantity, NULL::VARCHAR AS condition, NULL::INTEGER AS level, b.model,
        b.n AS num_images, b.k / (b.n * num_predictions) AS ours,
        accuracy_low(b.k, k2, b.n, num_predictions) AS ours_low,
        accuracy_high(b.k, k2, b.n, num_predictions) AS ours_high, NULL::DOUBLE AS sample_variance,
        1 AS num_samples,
        clean.k / clean.n AS clean_accuracy,
        wilson_low(clean.k, clean.n) AS clean_accuracy_low,
        wilson_high(clean.k, clean.n) AS clean_accuracy_high
    FROM benchmarks AS b
    LEFT JOIN clean_sums AS clean ON clean.test_set = b.quantity AND clean.model = b.model
    UNION ALL
    SELECT
        quantity, NULL, CASE WHEN quantity IN ('fgsm', 'pgd') THEN 1 END, model, n, k / n,
        wilson_low(k, n), wilson_high(k, n), NULL, 1, clean_k / n, wilson_low(clean_k, n),
        wilson_high(clean_k, n)
    FROM attack_sums
    UNION ALL
    SELECT
        'shape_bias', NULL, NULL, model, n, s / either, wilson_low(s, either),
        wilson_high(s, either), NULL, 1, NULL, NULL, NULL
    FROM shapes
    WHERE either > 0
    UNION ALL
    FROM changes
)
FROM found
WHERE EXISTS (FROM paper_sets WHERE role = 'clean');
