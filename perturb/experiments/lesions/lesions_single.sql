-- Figure 8, left: accuracy without one block, one MLP or one attention layer.
SELECT
    m.*,
    a.condition AS part,
    part_labels.part_label,
    a.sample AS block,
    a.* EXCLUDE (perturbation, condition, model, sample, removed)
FROM single_drops AS a
JOIN part_labels ON part_labels.part = a.condition
JOIN model_columns AS m USING (model)
WHERE a.perturbation = 'lesions'
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, part_labels.position, a.sample;
