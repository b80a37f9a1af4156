-- Shape bias by the class of the shape, as defined in shape_bias.sql.
WITH counts AS (
    SELECT
        dataset,
        model,
        shape_class,
        shape_class_label,
        count(*) AS n,
        sum(is_shape)::BIGINT AS s,
        sum(is_texture)::BIGINT AS t
    FROM cue_outcomes
    GROUP BY dataset, model, shape_class, shape_class_label
)
SELECT
    m.*,
    c.dataset,
    c.shape_class,
    c.shape_class_label,
    c.n AS num_images,
    c.s AS num_shape,
    c.t AS num_texture,
    c.s / nullif(c.s + c.t, 0) AS shape_bias,
    CASE WHEN c.s + c.t > 0 THEN wilson_low(c.s, c.s + c.t) END AS shape_bias_low,
    CASE WHEN c.s + c.t > 0 THEN wilson_high(c.s, c.s + c.t) END AS shape_bias_high,
    c.s / c.n AS shape_rate,
    wilson_low(c.s, c.n) AS shape_rate_low,
    wilson_high(c.s, c.n) AS shape_rate_high,
    c.t / c.n AS texture_rate,
    wilson_low(c.t, c.n) AS texture_rate_low,
    wilson_high(c.t, c.n) AS texture_rate_high
FROM counts AS c
JOIN model_columns AS m USING (model)
ORDER BY c.dataset, m.pretraining_rank, m.family, m.num_parameters, m.model, c.shape_class;
