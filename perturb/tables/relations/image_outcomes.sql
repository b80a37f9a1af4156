-- NEEDS benchmark_models, cells, test_sets
-- How many of its predictions on an image a model got right, test set by test set. Here are the
-- unchanged images; relations of perturbations add theirs. Stimuli whose shape and texture disagree
-- have no right answer: they are not among the test sets.
CREATE TEMP TABLE image_outcomes AS
SELECT
    CASE WHEN datasets.role = 'extra' THEN predictions.dataset ELSE datasets.role END::VARCHAR
        AS test_set,
    predictions.dataset::VARCHAR AS dataset,
    predictions.model::VARCHAR AS model,
    predictions.image_id,
    count(*) AS num_predictions,
    count(*) FILTER (predictions.is_correct) AS num_correct
FROM predictions
JOIN datasets ON datasets.dataset = predictions.dataset
WHERE predictions.perturbation = 'none' AND datasets.role <> 'cue_conflict'
GROUP BY ALL;

-- The models under test that lack predictions which another one has.
CREATE TEMP VIEW unequal_models AS
WITH whole AS (
    SELECT
        test_set,
        count(DISTINCT image_id) AS num_images,
        max(num_predictions) AS num_predictions
    FROM image_outcomes
    GROUP BY test_set
),
found AS (
    SELECT
        test_set,
        model,
        count(*) AS num_images,
        min(num_predictions) AS num_predictions
    FROM image_outcomes
    GROUP BY test_set, model
)
SELECT
    'shards: ' || m.model || ' on ' || whole.test_set || ' has '
    || coalesce(found.num_images, 0) || ' images x ' || coalesce(found.num_predictions, 0)
    || ' predictions; expected ' || whole.num_images || ' x ' || whole.num_predictions AS problem
FROM whole
CROSS JOIN benchmark_models AS m
LEFT JOIN found ON found.test_set = whole.test_set AND found.model = m.model
WHERE found.num_images IS DISTINCT FROM whole.num_images
    OR found.num_predictions IS DISTINCT FROM whole.num_predictions;

CREATE TEMP VIEW shared_test_sets AS
SELECT
    'datasets: ' || string_agg(DISTINCT dataset, ' and ' ORDER BY dataset)
    || ' are both the test set ' || test_set || '; allowed: one' AS problem
FROM image_outcomes
GROUP BY test_set
HAVING count(DISTINCT dataset) > 1;

-- Changed images are compared with the same images unchanged, so that these must be there.
CREATE TEMP VIEW clean_images AS
SELECT dataset, model, image_id
FROM image_outcomes
WHERE test_set IN ('clean', dataset);
