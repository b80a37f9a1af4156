-- Figure 9, right: accuracy without attention between different patches in the first or the last n
-- blocks.
SELECT
    m.*,
    a.condition AS place,
    CASE a.condition WHEN 'first' THEN 'First blocks' ELSE 'Last blocks' END AS place_label,
    a.severity::INTEGER AS num_blocks_restricted,
    a.* EXCLUDE (
        perturbation, condition, severity, model, num_samples, flops_kept, accuracy_se,
        accuracy_min, accuracy_max)
FROM model_accuracies AS a
JOIN model_columns AS m USING (model)
WHERE a.perturbation = 'patch_attention'
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, a.condition, a.severity;
