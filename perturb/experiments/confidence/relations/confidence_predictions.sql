-- NEEDS corruptions, corruption_predictions, ids, test_sets
-- What every model said of every image, test set by test set, without its label: whether it was right,
-- how sure it was, and what its mistake costs. A severity is that of corruptions, of which the 15 of
-- the benchmark count; `variant` distinguishes the predictions on one image. Names are as in the
-- shards, so that a query for one model opens the shards of this model alone.
CREATE TEMP VIEW confidence_predictions AS
WITH unchanged AS (
    SELECT
        predictions.model,
        CASE WHEN role = 'extra' THEN predictions.dataset ELSE role END::test_set_id AS test_set,
        NULL::INTEGER AS severity,
        image_id,
        0::TINYINT AS variant,
        is_correct,
        confidence,
        loss
    FROM predictions
    JOIN datasets ON datasets.dataset = predictions.dataset
    WHERE perturbation = 'none'
        AND role <> 'cue_conflict'
        AND CASE WHEN role = 'extra' THEN predictions.dataset ELSE role END
        IN (SELECT test_set FROM test_sets)
),
corrupted AS (
    SELECT
        predictions.model,
        'corruptions'::test_set_id AS test_set,
        severity::INTEGER AS severity,
        coalesce(stored_images.image_id, predictions.image_id) AS image_id,
        position::TINYINT AS variant,
        is_correct,
        confidence,
        loss
    FROM predictions
    JOIN datasets ON datasets.dataset = predictions.dataset
    JOIN corruptions ON corruptions.corruption = predictions.condition
    LEFT JOIN stored_images
        ON predictions.perturbation = 'stored_corruptions'
        AND stored_images.stored_id = predictions.image_id
    WHERE is_corruption(perturbation)
        AND role IN ('clean', 'corrupted')
        AND is_benchmark
)
SELECT
    predictions.model::VARCHAR AS model,
    predictions.* EXCLUDE (model, image_id),
    image_numbers.image
FROM (
    FROM unchanged
    UNION ALL
    FROM corrupted
) AS predictions
JOIN image_numbers USING (image_id);
