-- The mean over severities of every corruption, and its corruption error:
-- CE = (sum of the model's errors over severities) / (sum of the reference's errors).
WITH summary AS (
    SELECT
        model,
        dataset,
        corruption,
        position,
        is_benchmark,
        num_severities,
        count(*) AS num_images,
        sum(num_severities - num_wrong) AS sum_right,
        sum((num_severities - num_wrong) ** 2) AS sum_right2,
        sum(num_wrong) AS sum_wrong,
        sum(num_wrong ** 2) AS sum_wrong2
    FROM corruption_outcomes
    GROUP BY ALL
),
-- The reference was tested on the clean set's images: no CE on other data sets.
denominators AS (
    SELECT dataset, corruption, error_sum
    FROM reference_sums
    JOIN datasets ON datasets.role = 'clean'
    WHERE error_sum > 0
)
SELECT
    m.model,
    m.architecture_label,
    m.family,
    m.num_parameters,
    m.pretraining_label,
    m.pretraining_rank,
    s.dataset,
    s.corruption,
    corruptions.corruption_group,
    s.is_benchmark,
    s.num_severities,
    s.num_images,
    s.sum_right / (s.num_images * s.num_severities) AS accuracy,
    accuracy_low(s.sum_right, s.sum_right2, s.num_images, s.num_severities) AS accuracy_low,
    accuracy_high(s.sum_right, s.sum_right2, s.num_images, s.num_severities) AS accuracy_high,
    s.sum_wrong / s.num_images / error_sum AS ce,
    ce - clustered_half_width(s.sum_wrong, s.sum_wrong2, s.num_images, error_sum) AS ce_low,
    ce + clustered_half_width(s.sum_wrong, s.sum_wrong2, s.num_images, error_sum) AS ce_high
FROM summary AS s
JOIN corruptions USING (corruption)
JOIN benchmark_models AS m USING (model)
LEFT JOIN denominators USING (dataset, corruption)
ORDER BY s.dataset, m.pretraining_rank, m.family, m.num_parameters, m.model, s.position;
