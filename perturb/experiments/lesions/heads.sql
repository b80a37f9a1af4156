-- Accuracy without a single attention head, relative to the unchanged model.
SELECT
    m.*,
    split_part(a.removed, '.', 1)::INTEGER AS block,
    split_part(a.removed, '.', 2)::INTEGER AS head,
    a.* EXCLUDE (perturbation, condition, model, sample, removed)
FROM single_drops AS a
JOIN model_columns AS m USING (model)
WHERE a.perturbation = 'heads'
ORDER BY m.pretraining_rank, m.family, m.num_parameters, m.model, block, head;
