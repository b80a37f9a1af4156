-- Accuracies with and without the JPEG pass, and on stored files, differ by many points, so no mean
-- combines them. Stored images must be copies of clean images, to which they are compared.
WITH several AS (
    SELECT
        'perturbations: ' || string_agg(DISTINCT perturbation, ' and ' ORDER BY perturbation)
        || ' are both in this study; allowed: one kind of corruptions' AS problem
    FROM cells
    WHERE is_corruption(perturbation)
    HAVING count(DISTINCT perturbation) > 1
),
strangers AS (
    SELECT
        'shards: stored_corruptions has ' || count(*) || ' images without a clean copy, such as '
        || min(stored_id) || '; expected: the ids, or file names, of the clean images'
    FROM stored_images
    WHERE image_id IS NULL
    HAVING count(*) > 0
),
twice AS (
    SELECT
        'shards: stored_corruptions has several images that are copies of ' || min(image_id)
        || '; expected: one'
    FROM (
        SELECT image_id
        FROM stored_images
        WHERE image_id IS NOT NULL
        GROUP BY image_id
        HAVING count(*) > 1
    )
    HAVING count(*) > 0
)
SELECT problem
FROM (FROM several UNION ALL FROM strangers UNION ALL FROM twice)
ORDER BY problem;
