-- People's decisions are files of others: each person decides once on every image of the set, with
-- one of its categories or `na`, no answer. Trials on images that the study leaves out are allowed.
WITH answers AS (
    SELECT DISTINCT category
    FROM decided_trials
),
missing AS (
    SELECT
        'decisions: ' || people.subject || ' has none on ' || count(*) || ' of '
        || (SELECT count(*) FROM decided_images) || ' images, such as ' || min(image_id)
        || '; expected: one on every image, found by the end of `imagename`' AS problem
    FROM (SELECT DISTINCT subject FROM decided_trials) AS people
    CROSS JOIN decided_images AS images
    ANTI JOIN decided_trials AS t ON t.subject = people.subject AND t.image = images.image
    GROUP BY people.subject
),
twice AS (
    SELECT
        'decisions: ' || subject || ' has several on ' || count(*) || ' images, such as '
        || min(image_id) || '; allowed: one trial an image'
    FROM (
        SELECT subject, image, any_value(image_id) AS image_id
        FROM decided_trials
        WHERE image IS NOT NULL
        GROUP BY subject, image
        HAVING count(DISTINCT trial) > 1
    )
    GROUP BY subject
),
ambiguous AS (
    SELECT
        'decisions: ' || count(*) || ' trials name several images, such as ' || min(name)
        || '; allowed: image files of different names'
    FROM (
        SELECT trial, any_value(name) AS name
        FROM decided_trials
        GROUP BY trial
        HAVING count(*) > 1
    )
    HAVING count(*) > 0
),
unknown AS (
    SELECT
        'decisions: object_response is ' || answer || ' in ' || count(*) || ' trials; allowed: '
        || (SELECT string_agg(category, ', ' ORDER BY category) FROM answers)
        || ', or na for no answer'
    FROM decided_trials
    WHERE answer <> 'na' AND answer NOT IN (FROM answers)
    GROUP BY answer
),
other_classes AS (
    SELECT
        'decisions: category is ' || string_agg(DISTINCT category, ', ' ORDER BY category)
        || ' for images of one class, such as ' || min(image_id) || '; allowed: one'
    FROM decided_trials
    WHERE image IS NOT NULL
    GROUP BY target
    HAVING count(DISTINCT category) > 1
),
merged_classes AS (
    SELECT
        'decisions: category ' || category || ' is that of images of ' || count(DISTINCT target)
        || ' classes, such as ' || min(image_id) || ' and ' || max(image_id) || '; allowed: one'
    FROM decided_trials
    WHERE image IS NOT NULL
    GROUP BY category
    HAVING count(DISTINCT target) > 1
),
models AS (
    SELECT 'decisions: subj is ' || subject || ', which is also the id of a model'
    FROM (SELECT DISTINCT subject FROM decided_trials)
    WHERE subject IN (SELECT model FROM benchmark_models)
)
SELECT problem
FROM (
    FROM missing
    UNION ALL
    FROM twice
    UNION ALL
    FROM ambiguous
    UNION ALL
    FROM unknown
    UNION ALL
    FROM other_classes
    UNION ALL
    FROM merged_classes
    UNION ALL
    FROM models)
ORDER BY problem;
