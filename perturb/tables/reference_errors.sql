-- What the reference network gets wrong: the denominators of CE. Severity 0 is the clean set.
SELECT
    CASE d.perturbation WHEN 'none' THEN 'none' ELSE d.condition END::VARCHAR AS corruption,
    d.severity::INTEGER AS severity,
    count(*) FILTER (NOT d.is_correct) / count(*) AS error,
    wilson_low(count(*) FILTER (NOT d.is_correct), count(*)) AS error_low,
    wilson_high(count(*) FILTER (NOT d.is_correct), count(*)) AS error_high,
    count(*) AS num_images,
    d.model::VARCHAR AS source
FROM decisions AS d
JOIN models ON models.model = d.model AND models.is_reference
JOIN datasets ON datasets.dataset = d.dataset AND datasets.role = 'clean'
LEFT JOIN corruptions ON corruptions.corruption = d.condition
WHERE d.perturbation IN ('none', 'corruptions')
GROUP BY d.perturbation, d.condition, d.severity, d.model, corruptions.position
ORDER BY corruptions.position NULLS FIRST, severity;
