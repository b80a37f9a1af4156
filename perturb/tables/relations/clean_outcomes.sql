-- NEEDS image_outcomes
-- Predictions on the unperturbed images of a test set: the accuracy under a perturbation is compared
-- with the clean accuracy on the same images. Corruptions and attacks start from all or some of the
-- clean images; other test sets have images of their own, and so no rows.
CREATE TEMP VIEW clean_outcomes AS
SELECT o.test_set, o.model, o.image, clean.num_correct
FROM image_outcomes AS o
JOIN datasets ON datasets.dataset = o.dataset AND datasets.role IN ('clean', 'corrupted')
JOIN image_outcomes AS clean
    ON clean.test_set = 'clean' AND clean.model = o.model AND clean.image = o.image;

CREATE TEMP TABLE clean_sums AS
SELECT test_set, model, count(*) AS n, sum(num_correct) AS k
FROM clean_outcomes
GROUP BY test_set, model;
