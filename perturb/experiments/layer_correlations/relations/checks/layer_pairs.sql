-- Every ViT under test must have measures over the same images, and the values of single images
-- must agree with their means.
WITH strangers AS (
    SELECT DISTINCT 'representations: ' || model || ' has measures but no entry in models'
        AS problem
    FROM representations
    WHERE model NOT IN (SELECT model FROM models)
),
unknown AS (
    SELECT DISTINCT 'representations: ' || model || ' has the measure ' || measure
        || '; allowed: ' || (SELECT string_agg(measure, ', ' ORDER BY position) FROM measures)
        || ', and of single images pearson_all_rise, pearson_cls_rise'
    FROM (
        SELECT model, measure FROM layer_pairs
        UNION ALL
        SELECT model, measure FROM image_rises WHERE NOT starts_with(measure, 'pearson')
    )
    WHERE measure NOT IN (SELECT measure FROM measures)
),
wrong AS (
    SELECT DISTINCT 'representations: ' || model || ' has a ' || measure
        || ' that is no correlation: ' || value
    FROM layer_pairs
    WHERE NOT isfinite(value) OR abs(value) > 1
),
outside AS (
    SELECT DISTINCT 'representations: ' || model || ' has a layer ' || layer_a
        || '; allowed: 0 to ' || (num_blocks - 1)
    FROM layer_pairs
    JOIN benchmark_models USING (model)
    WHERE layer_a NOT BETWEEN 0 AND num_blocks - 1
),
twice AS (
    SELECT DISTINCT 'representations: ' || model || ' has a pair of layers twice in ' || measure
    FROM layer_pairs
    GROUP BY model, measure, layer_a, layer_b
    HAVING count(*) > 1
),
one_sided AS (
    SELECT DISTINCT 'representations: ' || a.model || ' has layers ' || a.layer_a || ' and '
        || a.layer_b || ' in one order only, or with unequal ' || a.measure
    FROM layer_pairs AS a
    LEFT JOIN layer_pairs AS b
        ON b.model = a.model
        AND b.measure = a.measure
        AND b.layer_a = a.layer_b
        AND b.layer_b = a.layer_a
    WHERE b.value IS NULL OR abs(a.value - b.value) > 1e-9
),
missing AS (
    SELECT 'representations: ' || m.model || ' has no pearson_all, other ViTs have'
    FROM benchmark_models AS m
    WHERE m.family = 'vit'
        AND EXISTS (
            FROM layer_pairs JOIN benchmark_models USING (model) WHERE family = 'vit')
        AND m.model NOT IN (SELECT model FROM layer_pairs WHERE measure = 'pearson_all')
),
images AS (
    SELECT
        model,
        measure,
        count(*) AS num_rises,
        count(DISTINCT image_id) AS num_ids,
        ordered_mean(rise, image_id) AS mean_rise
    FROM image_rises
    GROUP BY model, measure
),
other_images AS (
    SELECT 'representations: ' || model || ' has ' || coalesce(num_rises, 0)
        || ' images with a ' || measure || '_rise; expected ' || num_images
    FROM layer_rises
    LEFT JOIN images USING (model, measure)
    WHERE coalesce(num_ids, 0) <> num_images OR num_rises <> num_images
),
unlike AS (
    SELECT 'representations: the mean of ' || model || '''s ' || measure || '_rise is '
        || mean_rise || ', the correlations of its layers give ' || rise
    FROM layer_rises
    JOIN images USING (model, measure)
    WHERE num_rises = num_images AND NOT abs(mean_rise - rise) < 1e-6
),
unequal AS (
    SELECT 'representations: models have different images with a ' || measure || '_rise'
    FROM (
        SELECT measure, image_id, count(*) AS num_models
        FROM image_rises
        SEMI JOIN layer_rises USING (model, measure)
        GROUP BY measure, image_id
    )
    GROUP BY measure
    HAVING min(num_models) <> max(num_models)
)
SELECT problem
FROM (
    FROM strangers
    UNION ALL FROM unknown
    UNION ALL FROM wrong
    UNION ALL FROM outside
    UNION ALL FROM twice
    UNION ALL FROM one_sided
    UNION ALL FROM missing
    UNION ALL FROM other_images
    UNION ALL FROM unlike
    UNION ALL FROM unequal
)
ORDER BY problem;
