-- Both conventions must cover the same images for every model, and the clean images must be those
-- of all allowed classes.
WITH strangers AS (
    SELECT DISTINCT
        'shards: class_subset has the condition ' || condition
        || ', which is not a dataset of this study' AS problem
    FROM cells
    WHERE perturbation = 'class_subset' AND condition NOT IN (SELECT dataset FROM datasets)
),
on_itself AS (
    SELECT DISTINCT
        'shards: class_subset has no predictions on ' || condition || ' itself'
    FROM cells
    WHERE perturbation = 'class_subset'
        AND condition NOT IN (SELECT subset FROM subset_classes)
),
classes AS (
    SELECT
        'datasets: ' || subset || ' has images of ' || count(*) || ' classes, class_subset '
        || 'allowed ' || any_value(num_subset_classes) || '; expected: images of each'
    FROM subset_classes
    JOIN datasets ON datasets.dataset = subset_classes.subset
    GROUP BY subset
    HAVING count(*) <> any_value(num_subset_classes)
),
without_all AS (
    SELECT DISTINCT
        'shards: class_subset of ' || model || ', ' || subset || ', has images that the model has '
        || 'no prediction of all classes on'
    FROM subset_outcomes
    WHERE all_correct IS NULL
),
counts AS (
    SELECT subset, is_clean, model, count(*) AS num_rows, count(DISTINCT image_id) AS num_images
    FROM subset_outcomes
    GROUP BY ALL
),
whole AS (
    SELECT subset, is_clean, count(DISTINCT image_id) AS expected
    FROM subset_outcomes
    GROUP BY ALL
),
unequal AS (
    SELECT
        'shards: class_subset of ' || m.model || ', ' || whole.subset
        || CASE WHEN whole.is_clean THEN ' on clean images' ELSE '' END || ', has '
        || coalesce(num_rows, 0) || ' predictions; expected ' || expected
    FROM whole
    CROSS JOIN benchmark_models AS m
    LEFT JOIN counts
        ON counts.subset = whole.subset
        AND counts.is_clean = whole.is_clean
        AND counts.model = m.model
    WHERE num_rows IS DISTINCT FROM expected OR num_images IS DISTINCT FROM expected
)
SELECT problem
FROM (
    FROM strangers
    UNION ALL FROM on_itself
    UNION ALL FROM classes
    UNION ALL FROM without_all
    UNION ALL FROM unequal
)
ORDER BY problem;
