-- NEEDS corruptions, corruption_decisions
-- How many severities of a corruption a model got wrong, image by image.
CREATE TEMP TABLE corruption_outcomes AS
SELECT
    decisions.model::VARCHAR AS model,
    decisions.dataset::VARCHAR AS dataset,
    corruptions.corruption,
    corruptions.position,
    corruptions.is_benchmark,
    decisions.image_id,
    count(*) AS num_severities,
    count(*) FILTER (NOT decisions.is_correct) AS num_wrong
FROM corruption_decisions AS decisions
JOIN corruptions ON corruptions.corruption = decisions.condition
GROUP BY ALL;
