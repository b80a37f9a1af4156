-- Every comparison between models as a weighted sum of their accuracies on one test set. All
-- models see the same images, so the interval comes from the images' own weighted sums: paired
-- by image, whatever the models have in common cancels.
--
--   pair              one ViT minus its ResNet of matched size
--   mean_pair         the mean of the pairs whose ViT is in the series
--   accuracy_slope    slope of accuracy over log10(parameters)
--   error_slope       slope of log10(error) over log10(parameters); the weights are those of the
--                     delta method: d log10(error) = - d accuracy / (error * ln 10)
--   slope_difference  the ViTs' error slope minus the ResNets'
CREATE TEMP TABLE model_accuracy AS
SELECT
    test_set,
    model,
    sum(num_correct) / sum(num_decisions) AS accuracy,
    1 - sum(num_correct) / sum(num_decisions) AS error
FROM image_outcomes
GROUP BY test_set, model;

CREATE TEMP TABLE contrast_weights AS
WITH pairs AS (
    SELECT 'pair' AS kind, vit AS name, pretraining, pretraining_rank, vit AS model, 1.0 AS weight
    FROM matched
    UNION ALL
    SELECT 'pair', vit, pretraining, pretraining_rank, resnet, -1.0
    FROM matched
),
mean_pairs AS (
    -- Where two ViTs share a ResNet, its weights add up.
    SELECT 'mean_pair' AS kind, 'vit - resnet' AS name, pretraining, pretraining_rank, model,
        sum(sign) / any_value(num_pairs) AS weight
    FROM (
        SELECT
            pretraining,
            pretraining_rank,
            count(*) OVER (PARTITION BY pretraining) AS num_pairs,
            unnest([vit, resnet]) AS model,
            unnest([1, -1]) AS sign
        FROM matched
        WHERE is_series
    )
    GROUP BY pretraining, pretraining_rank, model
),
accuracy_slopes AS (
    SELECT 'accuracy_slope' AS kind, family AS name, pretraining, pretraining_rank, model, weight
    FROM slope_weights
),
on_accuracy AS (
    SELECT test_set, c.*, accuracy * weight AS term
    FROM (FROM pairs UNION ALL FROM mean_pairs UNION ALL FROM accuracy_slopes) AS c
    JOIN model_accuracy USING (model)
),
error_slopes AS (
    -- Without a single error the logarithm does not exist: the nulls make the contrast null.
    SELECT
        test_set,
        'error_slope' AS kind,
        family AS name,
        pretraining,
        pretraining_rank,
        model,
        CASE WHEN error > 0 THEN -weight / (error * ln(10)) END AS weight,
        CASE WHEN error > 0 THEN weight * log10(error) END AS term
    FROM slope_weights
    JOIN model_accuracy USING (model)
),
slope_differences AS (
    SELECT
        test_set,
        'slope_difference' AS kind,
        'vit - resnet' AS name,
        pretraining,
        pretraining_rank,
        model,
        CASE name WHEN 'vit' THEN weight ELSE -weight END AS weight,
        CASE name WHEN 'vit' THEN term ELSE -term END AS term
    FROM error_slopes
    -- One family alone has no difference.
    WHERE (test_set, pretraining) IN (
        SELECT (test_set, pretraining)
        FROM error_slopes
        WHERE name IN ('vit', 'resnet')
        GROUP BY test_set, pretraining
        HAVING count(DISTINCT name) = 2
    )
)
FROM on_accuracy
UNION ALL
FROM error_slopes
UNION ALL
FROM slope_differences;

CREATE TEMP TABLE contrasts AS
WITH terms AS (
    SELECT
        test_set,
        kind,
        name,
        pretraining,
        pretraining_rank,
        count(*) AS num_models,
        string_agg(model, ', ' ORDER BY model) AS models,
        CASE WHEN count(term) = count(*) THEN ordered_sum(term, model) END AS estimate
    FROM contrast_weights
    GROUP BY ALL
),
images AS (
    SELECT
        test_set,
        kind,
        name,
        pretraining,
        image_id,
        CASE WHEN count(weight) = count(*)
            THEN ordered_sum(weight * num_correct / num_decisions, model) END AS influence
    FROM contrast_weights
    JOIN image_outcomes USING (test_set, model)
    GROUP BY ALL
),
intervals AS (
    SELECT
        test_set,
        kind,
        name,
        pretraining,
        count(*) AS num_images,
        z95() * ordered_stddev(influence, image_id) / sqrt(count(influence)) AS half_width
    FROM images
    GROUP BY ALL
)
SELECT
    *,
    estimate - half_width AS low,
    estimate + half_width AS high
FROM terms
JOIN intervals USING (test_set, kind, name, pretraining);
