-- NEEDS corruptions, corruption_predictions
-- Number of severities of a corruption that a model predicts incorrectly, for each image. A corruption
-- is its position among all.
CREATE TEMP TABLE corruption_outcomes AS
SELECT
    predictions.model,
    predictions.dataset,
    corruptions.position,
    predictions.image,
    count(*)::INTEGER AS num_severities,
    (count(*) FILTER (NOT predictions.is_correct))::INTEGER AS num_wrong
FROM corruption_predictions AS predictions
JOIN corruptions ON corruptions.corruption = predictions.condition
GROUP BY ALL;
