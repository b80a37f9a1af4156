-- NEEDS image_outcomes
-- Predictions of changed models, beside those of the unchanged model on the same images. There are
-- millions of them, so that only their sums are kept: those of every sample over the images, and
-- those of every image over the samples.
CREATE TEMP VIEW model_predictions AS
SELECT
    predictions.perturbation::perturbation_id AS perturbation,
    predictions.condition::condition_id AS condition,
    predictions.severity,
    predictions.sample::INTEGER AS sample,
    predictions.model,
    predictions.image,
    predictions.removed,
    predictions.flops_kept::DOUBLE AS flops_kept,
    predictions.is_correct::INTEGER AS num_correct,
    clean.num_correct AS clean_correct,
    -- Sets of more than one removed part never hold the first block: for one series over their
    -- number, neither do those of one. Without several severities there is no series.
    p.has_severities AND predictions.removed IS DISTINCT FROM '0' AS is_in_series
FROM short_predictions AS predictions
JOIN perturbations AS p ON p.perturbation = predictions.perturbation AND p.changes = 'model'
JOIN benchmark_models AS m ON m.model = predictions.model
LEFT JOIN image_outcomes AS clean
    ON clean.test_set = 'clean'
    AND clean.model = predictions.model
    AND clean.image = predictions.image
-- 0 removed parts are no change; a largest distance of 0 patches is one.
WHERE predictions.severity IS DISTINCT FROM p.unchanged;

CREATE TEMP TABLE model_samples AS
SELECT
    perturbation,
    condition,
    severity,
    sample,
    model,
    is_in_series,
    any_value(removed)::VARCHAR AS removed,
    min(flops_kept) AS flops_kept,
    count(*) AS num_images,
    sum(clean_correct) AS clean,
    sum(num_correct) AS k,
    sum((clean_correct - num_correct) ** 2) AS d2
FROM model_predictions
GROUP BY ALL;

-- Where a series starts at no change, that is the unchanged model itself.
CREATE TEMP TABLE model_outcomes AS
SELECT
    perturbation,
    condition,
    severity,
    model,
    image,
    count(*) AS num_predictions,
    sum(num_correct)::BIGINT AS num_correct,
    any_value(clean_correct)::BIGINT AS clean_correct
FROM model_predictions
WHERE is_in_series
GROUP BY ALL;

INSERT INTO model_outcomes
SELECT DISTINCT
    perturbation, condition, unchanged, model, image, 1, clean_correct, clean_correct
FROM model_outcomes
JOIN perturbations USING (perturbation)
WHERE unchanged IS NOT NULL;

-- How many sets of so many parts there are. Sets of blocks are drawn without repetition, and never
-- with the first, so that all of them together leave no error of drawing. Single blocks and heads are
-- not drawn: each is removed.
CREATE TEMP VIEW possible_sets AS
SELECT
    perturbation,
    condition,
    severity,
    model,
    CASE WHEN severity <= 1 THEN count(*) ELSE round(exp(
        lgamma(any_value(num_removable) + 1)
        - lgamma(severity + 1)
        - lgamma(any_value(num_removable) - severity + 1)))
    END AS num_sets
FROM model_samples
JOIN benchmark_models USING (model)
WHERE removed IS NOT NULL AND is_in_series
GROUP BY perturbation, condition, severity, model;

-- The spread over the samples: sets of parts, or random draws. The variance is that of their mean.
CREATE TEMP VIEW sample_spreads AS
SELECT
    perturbation,
    condition,
    severity,
    model,
    CASE WHEN count(*) > 1 THEN ordered_stddev(k / num_images, sample) / sqrt(count(*)) END
        AS accuracy_se,
    accuracy_se ** 2 * coalesce(1 - count(*) / any_value(num_sets), 1) AS draws_variance,
    min(k / num_images) AS accuracy_min,
    max(k / num_images) AS accuracy_max,
    min(flops_kept) AS flops_kept
FROM model_samples
LEFT JOIN possible_sets USING (perturbation, condition, severity, model)
WHERE is_in_series
GROUP BY ALL;

-- Accuracy of every change with its interval, which covers the images and the draws.
CREATE TEMP VIEW drawn_accuracies AS
WITH sums AS (
    SELECT
        perturbation,
        condition,
        severity,
        model,
        max(num_predictions) AS num_samples,
        count(*) AS num_images,
        sum(clean_correct) AS clean,
        sum(num_correct) AS k,
        sum(num_correct * num_correct) AS k2
    FROM model_outcomes
    GROUP BY ALL
),
over_images AS (
    SELECT
        *,
        k / (num_images * num_samples) AS accuracy,
        accuracy_low(k, k2, num_images, num_samples) AS images_low,
        accuracy_high(k, k2, num_images, num_samples) AS images_high
    FROM sums
)
SELECT
    o.perturbation::VARCHAR AS perturbation,
    o.condition::VARCHAR AS condition,
    o.severity,
    o.model,
    num_samples,
    num_images,
    clean / num_images AS baseline_accuracy,
    wilson_low(clean, num_images) AS baseline_accuracy_low,
    wilson_high(clean, num_images) AS baseline_accuracy_high,
    accuracy,
    drawn_low(accuracy, images_low, draws_variance, num_samples) AS accuracy_low,
    drawn_high(accuracy, images_high, draws_variance, num_samples) AS accuracy_high,
    accuracy_se,
    coalesce(accuracy_min, k / num_images) AS accuracy_min,
    coalesce(accuracy_max, k / num_images) AS accuracy_max,
    CASE WHEN o.severity = perturbations.unchanged THEN 1.0 ELSE flops_kept END AS flops_kept,
    images_low,
    images_high
FROM over_images AS o
JOIN perturbations USING (perturbation)
LEFT JOIN sample_spreads AS spreads
    ON spreads.perturbation = o.perturbation
    AND spreads.condition = o.condition
    AND spreads.severity = o.severity
    AND spreads.model = o.model;

CREATE TEMP VIEW model_accuracies AS
SELECT * EXCLUDE (images_low, images_high)
FROM drawn_accuracies;
