-- NEEDS corruption_sums, reference_sums
-- CE = (sum of the model's errors over severities) / (sum of the reference's errors), where the
-- reference is evaluated on the same images: those of the clean set. mCE is the mean of CE over all
-- corruptions and severities, and undefined for fewer.
CREATE TEMP VIEW corruption_errors AS
SELECT
    sums.*,
    error_sum,
    sum_wrong / sums.num_images / error_sum AS ce
FROM corruption_sums AS sums
JOIN datasets ON datasets.dataset = sums.dataset AND datasets.role IN ('clean', 'corrupted')
JOIN reference_sums USING (corruption)
WHERE error_sum > 0;

CREATE TEMP VIEW mean_corruption_errors AS
SELECT model, ordered_mean(ce, position) AS mce
FROM corruption_errors
WHERE is_benchmark
GROUP BY model
HAVING count(*) = 15 AND min(num_severities) = 5;
