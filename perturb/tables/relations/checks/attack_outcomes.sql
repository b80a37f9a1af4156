-- Models are compared under each attack, and with what they decide on the clean images: every model
-- under test must have been attacked on the same images, and these be among the clean ones.
WITH attacks AS (
    SELECT DISTINCT perturbation AS attack, condition, severity, dataset
    FROM cells
    WHERE perturbation IN ('fgsm', 'pgd', 'ensemble', 'spatial', 'transfer')
),
elsewhere AS (
    SELECT DISTINCT
        'datasets: ' || attack || ' was run on ' || dataset || ', whose role is ' || role
        || '; allowed: the clean data set' AS problem
    FROM attacks
    JOIN datasets USING (dataset)
    -- Examples are shown to all models: where these see the clean set in views of their own, on a
    -- set that all see alike.
    WHERE role <> 'clean' AND NOT (attack = 'transfer' AND role = 'other')
),
unknown AS (
    SELECT DISTINCT
        'shards: ' || attack || ' has the condition ' || condition || '; allowed: '
        || (SELECT string_agg(s.condition, ', ' ORDER BY s.position)
            FROM attack_stages AS s WHERE s.attack = attacks.attack)
    FROM attacks
    WHERE attack IN (SELECT attack FROM attack_stages)
        AND (attack, condition) NOT IN (SELECT (attack, condition) FROM attack_stages)
),
scales AS (
    SELECT
        'perturbations: spatial has ' || count(DISTINCT severity) || ' scales of its grid; '
        || 'allowed: one'
    FROM attacks
    WHERE attack = 'spatial'
    HAVING count(DISTINCT severity) > 1
),
of_attacks AS (
    SELECT test_set, dataset, model, image_id FROM attack_outcomes
    UNION
    SELECT attack || ' at ' || epsilon, dataset, model, image_id FROM attack_decisions
    UNION
    SELECT 'transfer', dataset::VARCHAR, model::VARCHAR, image_id
    FROM decisions
    WHERE perturbation = 'transfer'
),
clean AS (
    SELECT dataset, model, image_id FROM image_outcomes WHERE test_set IN ('clean', dataset)
),
without_clean AS (
    SELECT DISTINCT
        'shards: ' || test_set || ' of ' || model || ' has images that the model has no clean '
        || 'decision on'
    FROM of_attacks
    ANTI JOIN clean USING (dataset, model, image_id)
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
    UNION ALL FROM scales
    UNION ALL FROM without_clean
    UNION ALL FROM other_images
    UNION ALL FROM unequal_models
)
ORDER BY problem;
