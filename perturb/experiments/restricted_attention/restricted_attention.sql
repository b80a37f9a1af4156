-- Figure 9, left: accuracy with attention between patches up to a distance along either axis, and
-- with as many pairs of patches masked at random. A grid of s patches per side has distances up to
-- s - 1.
SELECT
    m.*,
    a.severity::INTEGER AS distance,
    least(1.0, a.severity / nullif(networks.grid_side - 1, 0)) AS distance_fraction,
    a.condition AS control,
    CASE a.condition WHEN 'window' THEN 'Local window' ELSE 'Equally many pairs at random' END
        AS control_label,
    a.num_samples AS num_seeds,
    a.* EXCLUDE (perturbation, condition, severity, model, num_samples, flops_kept)
FROM model_accuracies AS a
JOIN model_columns AS m USING (model)
JOIN models AS networks USING (model)
WHERE a.perturbation = 'restricted_attention'
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, a.condition DESC, a.severity;
