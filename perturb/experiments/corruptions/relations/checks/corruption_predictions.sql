-- Only the ids of both sets show whether stored images are copies of clean images, to which they are
-- compared: the files were made by others.
WITH strangers AS (
    SELECT
        'shards: stored_corruptions has ' || count(*) || ' images without a clean copy, such as '
        || min(stored_id) || '; expected: the ids, or file names, of the clean images' AS problem
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
FROM (FROM strangers UNION ALL FROM twice)
ORDER BY problem;
