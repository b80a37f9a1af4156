-- Models are compared under each attack and with their clean predictions: every model under test
-- must have been attacked on the same images, which must be among the clean ones.
WITH attacks AS (
    SELECT DISTINCT attack FROM attack_stages
),
elsewhere AS (
    SELECT problem FROM off_clean WHERE perturbation IN (FROM attacks)
),
unknown AS (
    SELECT problem FROM unknown_conditions WHERE perturbation IN (FROM attacks)
),
of_attacks AS (
    SELECT test_set, dataset, model, image_id FROM attack_outcomes
    UNION
    SELECT attack || ' at ' || epsilon, dataset, model, image_id FROM attack_predictions
),
without_clean AS (
    SELECT DISTINCT
        'shards: ' || test_set || ' of ' || model || ' has images that the model has no clean '
        || 'prediction on'
    FROM of_attacks
    ANTI JOIN clean_images USING (dataset, model, image_id)
    WHERE model IN (SELECT model FROM benchmark_models)
),
whole AS (
    SELECT test_set, dataset, count(DISTINCT image_id) AS num_images
    FROM of_attacks
    GROUP BY test_set, dataset
),
other_images AS (
    SELECT
        'shards: ' || m.model || ' under ' || test_set || ' has ' || count(o.image_id)
        || ' images; expected ' || whole.num_images
    FROM whole
    CROSS JOIN benchmark_models AS m
    LEFT JOIN of_attacks AS o USING (test_set, dataset, model)
    GROUP BY test_set, dataset, m.model, whole.num_images
    HAVING count(o.image_id) <> whole.num_images
)
SELECT problem
FROM (
    FROM elsewhere
    UNION ALL FROM unknown
    UNION ALL FROM without_clean
    UNION ALL FROM other_images
    UNION ALL FROM unequal_models
)
ORDER BY problem;
