-- Every prediction must be of a stimulus of the manifest, and every model must have all of them.
WITH conflict AS (
    SELECT predictions.model::VARCHAR AS model, dataset, image_id, predictions.target
    FROM predictions
    JOIN datasets USING (dataset)
    WHERE perturbation = 'none' AND role = 'cue_conflict'
),
several AS (
    SELECT 'datasets: ' || string_agg(DISTINCT dataset, ' and ' ORDER BY dataset)
        || ' both have the role cue_conflict; allowed: one' AS problem
    FROM conflict
    HAVING count(DISTINCT dataset) > 1
),
unknown AS (
    SELECT DISTINCT 'stimuli: ' || dataset || ' has predictions on images that are not in its '
        || 'manifest, or of another target'
    FROM conflict
    ANTI JOIN stimuli
        ON stimuli.image_id = conflict.image_id AND stimuli.target = conflict.target
),
twice AS (
    SELECT 'stimuli: ' || min(image_id) || ' occurs twice in the manifest'
    FROM (SELECT image_id FROM stimuli GROUP BY image_id HAVING count(*) > 1)
    HAVING count(*) > 0
),
unequal AS (
    SELECT
        'shards: ' || m.model || ' has ' || count(conflict.image_id)
        || ' cue-conflict stimuli; expected '
        || (SELECT count(DISTINCT image_id) FROM conflict)
    FROM benchmark_models AS m
    LEFT JOIN conflict ON conflict.model = m.model
    GROUP BY m.model
    HAVING count(conflict.image_id) <> (SELECT count(DISTINCT image_id) FROM conflict)
)
SELECT problem
FROM (FROM several UNION ALL FROM unknown UNION ALL FROM twice UNION ALL FROM unequal)
ORDER BY problem;
