-- The mean over severities of every corruption, and its corruption error. On other data sets than
-- the clean one, which the reference was tested on, there is no CE.
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
    e.ce,
    e.ce - e.ce_half_width AS ce_low,
    e.ce + e.ce_half_width AS ce_high
FROM corruption_sums AS s
JOIN corruptions USING (corruption)
JOIN benchmark_models AS m USING (model)
LEFT JOIN corruption_errors AS e
    ON e.model = s.model AND e.dataset = s.dataset AND e.corruption = s.corruption
ORDER BY s.dataset, m.pretraining_rank, m.family, m.num_parameters, m.model, s.position;
