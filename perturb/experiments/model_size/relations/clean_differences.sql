-- NEEDS clean_outcomes, matched, patch_pairs
-- Clean differences of two compared models on the images of a test set: sums over the images, for
-- the difference of accuracy and its interval. Pairs are named as in contrasts.
CREATE TEMP VIEW clean_differences AS
WITH pairs AS (
    SELECT 'pair' AS kind, vit AS name, vit AS plus, resnet AS minus
    FROM matched
    UNION ALL
    SELECT 'patch_pair', large, large, small
    FROM patch_pairs
)
SELECT
    pairs.kind,
    pairs.name,
    a.test_set,
    count(*) AS n,
    sum(a.num_correct - b.num_correct) AS d,
    sum((a.num_correct - b.num_correct) ** 2) AS d2
FROM pairs
JOIN clean_outcomes AS a ON a.model = pairs.plus
JOIN clean_outcomes AS b
    ON b.model = pairs.minus AND b.test_set = a.test_set AND b.image = a.image
GROUP BY ALL;
