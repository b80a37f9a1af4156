-- Every model under test must have predictions of the same images, which must be among the clean
-- ones.
WITH scales AS (
    SELECT
        'perturbations: spatial has ' || count(DISTINCT severity) || ' scales of its grid; '
        || 'allowed: one' AS problem
    FROM cells
    WHERE perturbation = 'spatial'
    HAVING count(DISTINCT severity) > 1
),
without_clean AS (
    SELECT DISTINCT
        'shards: spatial of ' || model || ' has images that the model has no clean prediction on'
    FROM image_outcomes
    ANTI JOIN clean_images USING (dataset, model, image_id)
    WHERE test_set = 'spatial' AND model IN (SELECT model FROM benchmark_models)
),
elsewhere AS (
    SELECT problem FROM off_clean WHERE perturbation = 'spatial'
)
SELECT problem
FROM (
    FROM elsewhere
    UNION ALL FROM scales
    UNION ALL FROM without_clean
    UNION ALL FROM unequal_models
)
ORDER BY problem;
