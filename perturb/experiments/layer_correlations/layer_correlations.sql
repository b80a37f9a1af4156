-- Figure 7: similarity of the outputs of any two blocks.
SELECT
    m.*,
    p.measure,
    measures.measure_label,
    p.layer_a,
    p.layer_b,
    p.value,
    p.value - p.half_width AS value_low,
    p.value + p.half_width AS value_high,
    p.spread,
    p.num_images
FROM layer_pairs AS p
JOIN measures USING (measure)
JOIN model_columns AS m USING (model)
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, measures.position, p.layer_a,
    p.layer_b;
