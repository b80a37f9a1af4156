-- NEEDS corruption_outcomes, image_outcomes
-- What the reference predicts incorrectly on each image, if the study evaluates it: then its errors
-- are estimates from the same images. Published denominators (severity is null) are constants.
CREATE TEMP TABLE reference_outcomes AS
SELECT
    o.position,
    o.image,
    o.num_wrong AS reference_wrong,
    clean.num_predictions - clean.num_correct AS reference_clean_wrong
FROM corruption_outcomes AS o
JOIN models ON models.model = o.model AND models.is_reference
JOIN datasets ON datasets.dataset = o.dataset AND datasets.role IN ('clean', 'corrupted')
LEFT JOIN image_outcomes AS clean
    ON clean.test_set = 'clean' AND clean.model = o.model AND clean.image = o.image
WHERE (SELECT count(severity) FROM reference_errors) > 0;
