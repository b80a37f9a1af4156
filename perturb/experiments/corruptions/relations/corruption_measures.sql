-- NEEDS corruptions, corruption_scores, measure_values
-- ADDS TO measure_values
INSERT INTO measure_values
SELECT 'mce', model, mce, mce_low, mce_high, num_images, NULL
FROM corruption_scores
JOIN benchmark_models USING (model)
WHERE mce IS NOT NULL;

INSERT INTO paired_measures
SELECT measure, measure_label, position, 0, true, 'mce_outcomes'
FROM study_measures
WHERE measure = 'mce'
    AND (SELECT count(mce) FROM corruption_scores JOIN benchmark_models USING (model)) > 0;

CREATE TEMP VIEW mce_outcomes AS
SELECT 'mce' AS measure, model, image, ce_influence AS value, 1 AS num_predictions
FROM corruption_score_images
SEMI JOIN (SELECT model FROM corruption_scores WHERE mce IS NOT NULL) USING (model);

INSERT INTO measure_ranges
SELECT 'mce', model, lowest, highest
FROM corruption_reaches
JOIN corruption_scores USING (model)
WHERE mce IS NOT NULL;

-- Each corruption by itself, over its severities.
CREATE TEMP VIEW single_corruption_outcomes AS
SELECT
    'corruption_' || corruption AS measure,
    o.model,
    o.image,
    (num_severities - num_wrong)::DOUBLE AS value,
    num_severities AS num_predictions
FROM corruption_outcomes AS o
JOIN corruptions USING (position)
JOIN datasets USING (dataset)
WHERE datasets.role IN ('clean', 'corrupted');

INSERT INTO paired_measures
SELECT
    'corruption_' || corruption,
    max(condition_label),
    20,
    corruptions.position,
    false,
    'single_corruption_outcomes'
FROM corruptions
JOIN declared_conditions AS d
    ON d.condition = corruption AND d.perturbation = 'corruptions'
WHERE 'corruption_' || corruption IN (SELECT DISTINCT measure FROM single_corruption_outcomes)
GROUP BY corruption, corruptions.position;
