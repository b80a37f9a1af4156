-- Errors of the reference network: the denominators of CE. Severity 0 is the part of the clean set
-- that is corrupted: relative CE compares errors on the same images. Image ids are unique only
-- within one dataset.
WITH corrupted AS (
    SELECT DISTINCT c.image
    FROM corruption_predictions AS c
    JOIN datasets ON datasets.dataset = c.dataset AND datasets.role IN ('clean', 'corrupted')
)
SELECT
    CASE d.perturbation WHEN 'none' THEN 'none' ELSE d.condition END::VARCHAR AS corruption,
    d.severity::INTEGER AS severity,
    count(*) FILTER (NOT d.is_correct) / count(*) AS error,
    wilson_low(count(*) FILTER (NOT d.is_correct), count(*)) AS error_low,
    wilson_high(count(*) FILTER (NOT d.is_correct), count(*)) AS error_high,
    count(*) AS num_images,
    d.model::VARCHAR AS source
FROM short_predictions AS d
JOIN models ON models.model = d.model AND models.is_reference
JOIN datasets ON datasets.dataset = d.dataset AND datasets.role IN ('clean', 'corrupted')
LEFT JOIN corruptions ON corruptions.corruption = d.condition
WHERE is_corruption(d.perturbation)
    OR d.perturbation = 'none' AND datasets.role = 'clean' AND d.image IN (FROM corrupted)
GROUP BY d.perturbation, d.condition, d.severity, d.model, corruptions.position
ORDER BY corruptions.position NULLS FIRST, severity;
