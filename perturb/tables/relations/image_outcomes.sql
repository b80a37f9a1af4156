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
