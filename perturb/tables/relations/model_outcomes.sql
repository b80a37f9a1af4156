-- Decisions of models that parts were taken from, beside those of the unchanged model on the same
-- images. There are millions of them, so that only their sums are kept: those of every sample over
-- the images, and those of every image over the samples.
CREATE TEMP VIEW model_decisions AS
SELECT
    decisions.perturbation::VARCHAR AS perturbation,
    decisions.condition::VARCHAR AS condition,
    decisions.severity,
    decisions.sample::INTEGER AS sample,
    m.model,
    decisions.image_id,
    decisions.removed::VARCHAR AS removed,
    decisions.flops_kept::DOUBLE AS flops_kept,
    decisions.is_correct::BIGINT AS num_correct,
    clean.num_correct AS clean_correct
FROM decisions
JOIN benchmark_models AS m ON m.model = decisions.model
LEFT JOIN image_outcomes AS clean
    ON clean.test_set = 'clean'
    AND clean.model = decisions.model
    AND clean.image_id = decisions.image_id
WHERE decisions.perturbation
    IN ('lesions', 'heads', 'attention_distance', 'patch_cls', 'tokens')
    -- A largest distance of 0 patches is a change; 0 removed parts are none.
    AND (decisions.severity > 0 OR decisions.perturbation = 'attention_distance');

-- Sets of more than one removed part never hold the first block: for one series over their number,
-- neither do those of one.
CREATE TEMP TABLE model_samples AS
SELECT
    perturbation,
    condition,
    severity,
    sample,
    model,
    perturbation <> 'heads' AND NOT (perturbation = 'lesions' AND severity = 1 AND sample = 0)
        AS is_in_series,
    any_value(removed) AS removed,
    min(flops_kept) AS flops_kept,
    max(flops_kept) AS highest_flops_kept,
    count(*) AS num_images,
    count(clean_correct) AS num_clean,
    sum(hash(image_id)) AS images_hash,
    sum(clean_correct) AS clean,
    sum(num_correct) AS k,
    sum((clean_correct - num_correct) ** 2) AS d2
FROM model_decisions
GROUP BY ALL;

-- Severity 0 is the unchanged model itself.
CREATE TEMP TABLE model_outcomes AS
SELECT
    perturbation,
    condition,
    severity,
    model,
    image_id,
    count(*) AS num_decisions,
    sum(num_correct)::BIGINT AS num_correct,
    any_value(clean_correct)::BIGINT AS clean_correct
FROM model_decisions
WHERE perturbation <> 'heads'
    AND NOT (perturbation = 'lesions' AND severity = 1 AND sample = 0)
GROUP BY ALL;

INSERT INTO model_outcomes
SELECT DISTINCT perturbation, condition, 0, model, image_id, 1, clean_correct, clean_correct
FROM model_outcomes
WHERE perturbation IN ('lesions', 'patch_cls', 'tokens');

-- Accuracy of every change, with the spread over its samples: sets of parts, or random draws.
CREATE TEMP VIEW model_accuracies AS
WITH spreads AS (
    SELECT
        perturbation,
        condition,
        severity,
        model,
        CASE WHEN count(*) > 1 THEN ordered_stddev(k / num_images, sample) / sqrt(count(*)) END
            AS accuracy_se,
        min(k / num_images) AS accuracy_min,
        max(k / num_images) AS accuracy_max,
        min(flops_kept) AS flops_kept
    FROM model_samples
    WHERE is_in_series
    GROUP BY ALL
),
sums AS (
    SELECT
        perturbation,
        condition,
        severity,
        model,
        max(num_decisions) AS num_samples,
        count(*) AS num_images,
        sum(clean_correct) AS clean,
        sum(num_correct) AS k,
        sum(num_correct * num_correct) AS k2
    FROM model_outcomes
    GROUP BY ALL
)
SELECT
    sums.perturbation,
    sums.condition,
    sums.severity,
    sums.model,
    num_samples,
    num_images,
    clean / num_images AS baseline_accuracy,
    wilson_low(clean, num_images) AS baseline_accuracy_low,
    wilson_high(clean, num_images) AS baseline_accuracy_high,
    k / (num_images * num_samples) AS accuracy,
    accuracy_low(k, k2, num_images, num_samples) AS accuracy_low,
    accuracy_high(k, k2, num_images, num_samples) AS accuracy_high,
    accuracy_se,
    coalesce(accuracy_min, k / num_images) AS accuracy_min,
    coalesce(accuracy_max, k / num_images) AS accuracy_max,
    CASE WHEN sums.severity = 0 THEN 1.0 ELSE flops_kept END AS flops_kept
FROM sums
LEFT JOIN spreads
    ON spreads.perturbation = sums.perturbation
    AND spreads.condition = sums.condition
    AND spreads.severity = sums.severity
    AND spreads.model = sums.model;

-- What a single removed part costs: block, MLP or attention of a block, or head.
CREATE TEMP VIEW single_drops AS
SELECT
    perturbation,
    condition,
    model,
    sample,
    removed,
    num_images,
    clean / num_images AS baseline_accuracy,
    wilson_low(clean, num_images) AS baseline_accuracy_low,
    wilson_high(clean, num_images) AS baseline_accuracy_high,
    k / num_images AS accuracy,
    wilson_low(k, num_images) AS accuracy_low,
    wilson_high(k, num_images) AS accuracy_high,
    (clean - k) / num_images AS drop,
    -- No image tells the two models apart: that is no evidence that none ever would.
    nullif(clustered_half_width(clean - k, d2, num_images, 1), 0) AS drop_half_width
FROM model_samples
WHERE perturbation IN ('lesions', 'heads') AND severity = 1;

CREATE TEMP VIEW part_labels AS
FROM (VALUES
    ('block', 'Block', 1),
    ('mlp', 'MLP', 2),
    ('attention', 'Attention', 3)
) AS labels (part, part_label, position);
