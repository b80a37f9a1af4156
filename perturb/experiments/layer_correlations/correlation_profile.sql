-- Figure 7 as a line: mean similarity of each block's output to those of all other blocks.
WITH profile AS (
    SELECT
        model,
        measure,
        layer_a AS layer,
        ordered_mean(value, layer_b) AS value,
        max(num_images) AS num_images
    FROM layer_pairs
    WHERE layer_a <> layer_b
    GROUP BY model, measure, layer_a
)
SELECT
    m.*,
    p.measure,
    measures.measure_label,
    p.layer,
    p.layer / (networks.num_blocks - 1) AS depth,
    p.value,
    p.num_images
FROM profile AS p
JOIN measures USING (measure)
JOIN model_columns AS m USING (model)
JOIN models AS networks USING (model)
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, measures.position, p.layer;
