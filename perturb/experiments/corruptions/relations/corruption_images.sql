-- NEEDS corruptions, corruption_predictions, image_outcomes
-- Corruptions as a test set: the 15 of the benchmark at every severity; the extra four are in no
-- mean. The kind of corruption is part of the test set's label.
INSERT INTO image_outcomes
SELECT
    'corruptions',
    predictions.dataset::VARCHAR,
    predictions.model::VARCHAR,
    predictions.image_id,
    count(*),
    count(*) FILTER (predictions.is_correct)
FROM corruption_predictions AS predictions
JOIN datasets ON datasets.dataset = predictions.dataset
JOIN corruptions ON corruptions.corruption = predictions.condition
WHERE datasets.role IN ('clean', 'corrupted') AND corruptions.is_benchmark
GROUP BY ALL;

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
