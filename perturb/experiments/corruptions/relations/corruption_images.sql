-- NEEDS corruptions, corruption_outcomes, image_outcomes
-- ADDS TO image_outcomes
-- Corruptions as a test set: the 15 of the benchmark at every severity; the extra four are in no
-- mean. The kind of corruption is part of the test set's label.
INSERT INTO image_outcomes
SELECT
    'corruptions',
    dataset,
    model,
    image,
    sum(num_severities),
    sum(num_severities - num_wrong)
FROM corruption_outcomes
JOIN corruptions USING (position)
JOIN datasets USING (dataset)
WHERE datasets.role IN ('clean', 'corrupted') AND corruptions.is_benchmark
GROUP BY dataset, model, image;

UPDATE test_sets
SET test_set_label = test_set_label || (
    SELECT CASE max(perturbation)
        WHEN 'stored_corruptions' THEN ' (stored)'
        ELSE coalesce(
            ' (JPEG ' || nullif(regexp_extract(max(perturbation), '[0-9]+$'), '') || ')', '')
    END
    FROM cells
    WHERE is_corruption(perturbation))
WHERE test_set = 'corruptions';
