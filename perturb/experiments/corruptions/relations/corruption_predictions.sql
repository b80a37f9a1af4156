-- NEEDS corruption_names, ids
-- Predictions of corrupted images, with or without a JPEG pass or on stored files. Stored files are
-- copies of the clean images with their own ids; here they have the ids of the clean images,
-- matched by the same id, or else by the same file name.
CREATE TEMP TABLE stored_images AS
WITH stored AS (
    SELECT DISTINCT image_id AS stored_id, parse_filename(image_id) AS file
    FROM predictions
    WHERE perturbation = 'stored_corruptions'
),
clean AS (
    SELECT DISTINCT image_id, parse_filename(image_id) AS file
    FROM predictions
    JOIN datasets USING (dataset)
    WHERE perturbation = 'none'
        AND datasets.role = 'clean'
        AND (SELECT count(*) FROM stored) > 0
),
named_once AS (
    SELECT file, any_value(image_id) AS image_id
    FROM clean
    GROUP BY file
    HAVING count(*) = 1
)
SELECT stored_id, image_id, image
FROM (
    SELECT stored_id, coalesce(clean.image_id, named_once.image_id) AS image_id
    FROM stored
    LEFT JOIN clean ON clean.image_id = stored.stored_id
    LEFT JOIN named_once ON named_once.file = stored.file
)
LEFT JOIN image_numbers USING (image_id);

CREATE TEMP VIEW corruption_predictions AS
SELECT model, dataset, condition, severity, image, is_correct
FROM short_predictions
WHERE is_corruption(perturbation) AND perturbation <> 'stored_corruptions'
UNION ALL
SELECT
    try_cast(predictions.model::VARCHAR AS model_id),
    try_cast(predictions.dataset::VARCHAR AS dataset_id),
    predictions.condition,
    predictions.severity,
    stored_images.image,
    predictions.is_correct
FROM predictions
JOIN stored_images ON stored_images.stored_id = predictions.image_id
WHERE predictions.perturbation = 'stored_corruptions';
