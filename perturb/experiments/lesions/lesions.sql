-- Figure 8, right: accuracy without several blocks, MLPs or attention layers, the first always kept.
SELECT
    m.*,
    a.condition AS part,
    part_labels.part_label,
    a.severity::INTEGER AS num_removed,
    a.severity / networks.num_blocks AS removed_share,
    a.* EXCLUDE (perturbation, condition, severity, model, flops_kept)
FROM model_accuracies AS a
JOIN part_labels ON part_labels.part = a.condition
JOIN model_columns AS m USING (model)
JOIN models AS networks USING (model)
WHERE a.perturbation = 'lesions'
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, part_labels.position, a.severity;
