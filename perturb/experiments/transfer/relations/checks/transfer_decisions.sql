-- Every source's images must have been shown to every model under test, and all of them.
WITH elsewhere AS (
    -- Examples are shown to all models: where these see the clean set in views of their own, on a
    -- set that all see alike.
    SELECT problem FROM off_clean WHERE perturbation = 'transfer' AND role <> 'other'
),
without_clean AS (
    SELECT DISTINCT
        'shards: transfer of ' || decisions.model || ' has images that the model has no clean '
        || 'decision on'
    FROM decisions
    ANTI JOIN clean_images AS clean
        ON clean.dataset = decisions.dataset
        AND clean.model = decisions.model
        AND clean.image_id = decisions.image_id
    WHERE decisions.perturbation = 'transfer'
        AND decisions.model IN (SELECT model FROM benchmark_models)
),
pairs AS (
    SELECT source, epsilon, m.model AS target
    FROM (SELECT DISTINCT source, epsilon FROM transfer_decisions)
    CROSS JOIN benchmark_models AS m
),
strangers AS (
    SELECT DISTINCT 'models: ' || condition || ' is the source of transfer shards but no model '
        || 'under test' AS problem
    FROM cells
    WHERE perturbation = 'transfer'
        AND condition NOT IN (SELECT model FROM benchmark_models)
),
unequal AS (
    SELECT
        'shards: transfer from ' || source || ' to ' || target || ' has ' || count(t.image_id)
        || ' images; expected ' || (SELECT count(DISTINCT image_id) FROM transfer_decisions)
    FROM pairs
    LEFT JOIN transfer_decisions AS t USING (source, target, epsilon)
    GROUP BY source, target, epsilon
    HAVING count(t.image_id) <> (SELECT count(DISTINCT image_id) FROM transfer_decisions)
)
SELECT problem
FROM (
    FROM elsewhere
    UNION ALL FROM without_clean
    UNION ALL FROM strangers
    UNION ALL FROM unequal
)
ORDER BY problem;
