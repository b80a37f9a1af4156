-- Accuracy under every corruption at every severity.
SELECT
    m.model,
    m.architecture_label,
    m.pretraining_label,
    d.dataset,
    corruptions.corruption,
    corruptions.corruption_group,
    corruptions.is_benchmark,
    d.severity::INTEGER AS severity,
    sum(d.num_predictions)::BIGINT AS num_images,
    sum(d.num_correct) / sum(d.num_predictions) AS accuracy,
    wilson_low(sum(d.num_correct), sum(d.num_predictions)) AS accuracy_low,
    wilson_high(sum(d.num_correct), sum(d.num_predictions)) AS accuracy_high
FROM cells AS d
JOIN corruptions ON corruptions.corruption = d.condition
JOIN benchmark_models AS m ON m.model = d.model
WHERE is_corruption(d.perturbation)
GROUP BY ALL
ORDER BY
    dataset, min(m.pretraining_rank), min(m.family), min(m.num_parameters), m.model,
    min(corruptions.position), severity;
