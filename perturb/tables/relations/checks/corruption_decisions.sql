-- Accuracy with and without the JPEG pass differs by many points: never one mean over both.
SELECT
    'perturbations: ' || string_agg(DISTINCT perturbation, ' and ' ORDER BY perturbation)
    || ' are both in this study; allowed: one kind of corruptions' AS problem
FROM cells
WHERE is_corruption(perturbation)
HAVING count(DISTINCT perturbation) > 1;
