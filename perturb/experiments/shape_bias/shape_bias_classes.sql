-- Shape bias by the class of the shape.
SELECT m.*, c.* EXCLUDE (model)
FROM cue_rates AS c
JOIN model_columns AS m USING (model)
WHERE c.shape_class IS NOT NULL
ORDER BY c.dataset, m.pretraining_rank, m.family, m.num_parameters, m.model, c.shape_class;
