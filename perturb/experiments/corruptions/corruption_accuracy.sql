-- Accuracy under every corruption at every severity.
SELECT
    m.model,
    m.architecture_label,
    m.pretraining_label,
    d.dataset::VARCHAR AS dataset,
    corruptions.corruption,
    corruptions.corruption_group,
    corruptions.is_benchmark,
    d.severity::INTEGER AS severity,
    count(*) AS num_images,
    count(*) FILTER (d.is_correct) / count(*) AS accuracy,
    wilson_low(count(*) FILTER (d.is_correct), count(*)) AS accuracy_low,
    wilson_high(count(*) FILTER (d.is_correct), count(*)) AS accuracy_high
FROM corruption_predictions AS d
JOIN corruptions ON corruptions.corruption = d.condition
JOIN benchmark_models AS m ON m.model = d.model
GROUP BY ALL
ORDER BY
    dataset, min(m.pretraining_rank), min(m.family), min(m.num_parameters), m.model,
    min(corruptions.position), severity;
