-- NEEDS corruptions, corruption_predictions
-- Number of severities of a corruption that a model predicts incorrectly, for each image.
CREATE TEMP TABLE corruption_outcomes AS
SELECT
    predictions.model::VARCHAR AS model,
    predictions.dataset::VARCHAR AS dataset,
    corruptions.corruption,
    corruptions.position,
    corruptions.is_benchmark,
    predictions.image_id,
    count(*) AS num_severities,
    count(*) FILTER (NOT predictions.is_correct) AS num_wrong
FROM corruption_predictions AS predictions
JOIN corruptions ON corruptions.corruption = predictions.condition
GROUP BY ALL;
