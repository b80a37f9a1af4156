-- Changed models are compared with the unchanged one and with each other: every change must have
-- predictions on the same images, which are among the clean ones, and no model may lack a
-- perturbation that is planned for it.
WITH changed AS (
    SELECT perturbation FROM perturbations WHERE changes = 'model'
),
elsewhere AS (
    SELECT problem FROM off_clean WHERE perturbation IN (FROM changed)
),
unknown AS (
    SELECT problem FROM unknown_conditions WHERE perturbation IN (FROM changed)
),
without_clean AS (
    SELECT DISTINCT
        'shards: ' || perturbation || ' of ' || model || ' has images that the model has no clean '
        || 'prediction on'
    FROM model_samples
    WHERE num_clean < num_images
),
whole AS (
    SELECT perturbation, count(*) AS expected, sum(hash(image_id)) AS images_hash
    FROM (SELECT DISTINCT perturbation, image_id FROM model_predictions)
    GROUP BY perturbation
),
other_images AS (
    SELECT
        'shards: ' || perturbation || ' of ' || model || ' at ' || severity || ', ' || condition
        || ' ' || sample || ', has ' || num_images || ' images'
        || CASE WHEN num_images = expected THEN ', some twice'
            ELSE '; expected ' || expected END
    FROM model_samples AS s
    JOIN whole USING (perturbation)
    -- Counting different images one by one would take long.
    WHERE num_images <> expected OR s.images_hash <> whole.images_hash
),
other_flops AS (
    SELECT DISTINCT
        'shards: ' || perturbation || ' of ' || model || ' at ' || severity || ', ' || condition
        || ', has several values of flops_kept; allowed: one, the same for every image'
    FROM model_samples
    GROUP BY perturbation, model, severity, condition
    HAVING min(flops_kept) <> max(highest_flops_kept)
),
missing AS (
    SELECT 'shards: ' || m.model || ' has no ' || perturbation || ', which is planned for it'
    FROM (SELECT DISTINCT perturbation FROM model_samples)
    JOIN benchmark_models AS m ON list_contains(m.planned, perturbation)
    ANTI JOIN model_samples USING (perturbation, model)
)
SELECT problem
FROM (
    FROM elsewhere
    UNION ALL FROM unknown
    UNION ALL FROM without_clean
    UNION ALL FROM other_images
    UNION ALL FROM other_flops
    UNION ALL FROM missing
)
ORDER BY problem;
