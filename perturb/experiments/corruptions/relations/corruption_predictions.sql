-- NEEDS cells, corruption_names
-- Predictions on corrupted images. Those whose images passed through JPEG have another name, and so
-- have those on stored files. These are copies of the clean images with ids of their own, and are
-- given the ids of what they are copies of: the same id, or else the same file name.
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
SELECT stored_id, coalesce(clean.image_id, named_once.image_id) AS image_id
FROM stored
LEFT JOIN clean ON clean.image_id = stored.stored_id
LEFT JOIN named_once ON named_once.file = stored.file;

CREATE TEMP VIEW corruption_predictions AS
FROM predictions
WHERE is_corruption(perturbation) AND perturbation <> 'stored_corruptions'
UNION ALL
SELECT predictions.* REPLACE (stored_images.image_id AS image_id)
FROM predictions
JOIN stored_images ON stored_images.stored_id = predictions.image_id
WHERE predictions.perturbation = 'stored_corruptions';
