-- How many of its decisions on an image a model got right, test set by test set. Corruptions
-- count the 15 of the benchmark, every severity; the extra four are in no mean.
CREATE TEMP TABLE image_outcomes AS
SELECT
    CASE
        WHEN decisions.perturbation = 'corruptions' THEN 'corruptions'
        WHEN datasets.role = 'other' THEN decisions.dataset
        ELSE datasets.role
    END::VARCHAR AS test_set,
    decisions.dataset::VARCHAR AS dataset,
    decisions.model::VARCHAR AS model,
    decisions.image_id,
    count(*) AS num_decisions,
    count(*) FILTER (decisions.is_correct) AS num_correct
FROM decisions
JOIN datasets ON datasets.dataset = decisions.dataset
LEFT JOIN corruptions ON corruptions.corruption = decisions.condition
WHERE decisions.perturbation = 'none'
    OR (decisions.perturbation = 'corruptions'
        AND datasets.role = 'clean'
        AND corruptions.is_benchmark)
GROUP BY ALL;
