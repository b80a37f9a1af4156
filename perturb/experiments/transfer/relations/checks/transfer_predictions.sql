-- Every model under test must have predictions of all images of every source.
WITH elsewhere AS (
    -- All models predict the examples. If models have their own preprocessing of the clean set, the
    -- examples are of a dataset with one preprocessing for all.
    SELECT problem FROM off_clean WHERE perturbation = 'transfer' AND role <> 'extra'
),
without_clean AS (
    SELECT DISTINCT
        'shards: transfer of ' || predictions.model || ' has images that the model has no clean '
        || 'prediction on'
    FROM predictions
    ANTI JOIN clean_images AS clean
        ON clean.dataset = predictions.dataset
        AND clean.model = predictions.model
        AND clean.image_id = predictions.image_id
    WHERE predictions.perturbation = 'transfer'
        AND predictions.model IN (SELECT model FROM benchmark_models)
),
pairs AS (
    SELECT source, epsilon, m.model AS target
    FROM (SELECT DISTINCT source, epsilon FROM transfer_predictions)
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
        || ' images; expected ' || (SELECT count(DISTINCT image_id) FROM transfer_predictions)
    FROM pairs
    LEFT JOIN transfer_predictions AS t USING (source, target, epsilon)
    GROUP BY source, target, epsilon
    HAVING count(t.image_id) <> (SELECT count(DISTINCT image_id) FROM transfer_predictions)
)
SELECT problem
FROM (
    FROM elsewhere
    UNION ALL FROM without_clean
    UNION ALL FROM strangers
    UNION ALL FROM unequal
)
ORDER BY problem;
