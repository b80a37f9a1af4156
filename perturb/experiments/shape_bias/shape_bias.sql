-- Figure 6: shape bias on images whose shape and texture conflict (Geirhos et al., ICLR 2019).
SELECT m.*, c.* EXCLUDE (model, shape_class, shape_class_label)
FROM cue_rates AS c
JOIN model_columns AS m USING (model)
WHERE c.shape_class IS NULL
ORDER BY c.dataset, m.pretraining_rank, m.family, m.num_parameters, m.model;
