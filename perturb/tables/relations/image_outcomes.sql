-- NEEDS benchmark_models, cells, ids
-- How many of its predictions on an image a model got right, test set by test set. Here are the
-- unchanged images; relations of perturbations add theirs. Stimuli whose shape and texture disagree
-- have no right answer: they are not among the test sets.
CREATE TEMP TABLE image_outcomes AS
SELECT
    (CASE WHEN datasets.role = 'extra' THEN datasets.dataset ELSE datasets.role END)::test_set_id
        AS test_set,
    predictions.dataset,
    predictions.model,
    image,
    count(*)::INTEGER AS num_predictions,
    (count(*) FILTER (predictions.is_correct))::INTEGER AS num_correct
FROM short_predictions AS predictions
JOIN datasets ON datasets.dataset = predictions.dataset
WHERE predictions.perturbation = 'none' AND datasets.role <> 'cue_conflict'
GROUP BY ALL;
