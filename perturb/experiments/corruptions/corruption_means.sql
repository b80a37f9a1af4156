-- Mean over severities for every corruption, its corruption error, and the accuracy on the same
-- images without corruption; stored corrupted images are copies of the clean ones. CE exists only
-- on the clean dataset, on which the reference is evaluated.
WITH unchanged AS (
    SELECT
        predictions.model,
        coalesce(copies.dataset, predictions.dataset)::dataset_id AS dataset,
        predictions.image,
        predictions.is_correct
    FROM short_predictions AS predictions
    JOIN datasets ON datasets.dataset = predictions.dataset
    LEFT JOIN (
        SELECT dataset, 'clean' AS role FROM datasets WHERE role = 'corrupted'
        UNION ALL
        SELECT NULL, 'clean'
    ) AS copies ON copies.role = datasets.role
    WHERE predictions.perturbation = 'none'
),
clean AS (
    SELECT model, dataset, position, count(*) AS n, count(*) FILTER (is_correct) AS k
    FROM corruption_outcomes
    JOIN unchanged USING (model, dataset, image)
    GROUP BY ALL
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
    CASE WHEN clean.n = s.num_images THEN clean.k / clean.n END AS clean_accuracy,
    CASE WHEN clean.n = s.num_images THEN wilson_low(clean.k, clean.n) END AS clean_accuracy_low,
    CASE WHEN clean.n = s.num_images THEN wilson_high(clean.k, clean.n) END AS clean_accuracy_high,
    e.ce,
    intervals.ce_low,
    intervals.ce_high
FROM corruption_sums AS s
JOIN corruptions USING (corruption)
JOIN benchmark_models AS m USING (model)
LEFT JOIN corruption_errors AS e
    ON e.model = s.model AND e.dataset = s.dataset AND e.corruption = s.corruption
LEFT JOIN corruption_error_intervals AS intervals
    ON intervals.model = s.model
    AND intervals.dataset = s.dataset
    AND intervals.corruption = s.corruption
LEFT JOIN clean
    ON clean.model = s.model AND clean.dataset = s.dataset AND clean.position = s.position
ORDER BY s.dataset, m.pretraining_rank, m.family, m.num_parameters, m.model, s.position;
