-- NEEDS benchmark_models
-- Similarity of the outputs of any two blocks of the models under test, and for each image the rise
-- from the first third of the blocks to the last.
CREATE TEMP VIEW measures AS
FROM (VALUES
    ('pearson_all', 'Pearson, all tokens', 1),
    ('pearson_cls', 'Pearson, class token', 2),
    ('cka_all', 'CKA, all tokens', 3),
    ('cka_cls', 'CKA, class token', 4)
) AS named (measure, measure_label, position);

CREATE TEMP TABLE layer_pairs AS
SELECT
    m.model,
    r.measure::VARCHAR AS measure,
    r.layer_a::INTEGER AS layer_a,
    r.layer_b::INTEGER AS layer_b,
    r.value,
    r.spread,
    r.num_images::BIGINT AS num_images,
    student_quantile(0.975, nullif(r.num_images - 1, 0)) * r.spread / sqrt(r.num_images)
        AS half_width
FROM representations AS r
JOIN benchmark_models AS m USING (model)
WHERE r.image_id IS NULL;

CREATE TEMP TABLE image_rises AS
SELECT m.model, regexp_replace(r.measure, '_rise$', '') AS measure, r.image_id, r.value AS rise
FROM representations AS r
JOIN benchmark_models AS m USING (model)
WHERE r.image_id IS NOT NULL;

-- A third of the blocks is rounded down, but has at least two; the two thirds share no block. The
-- rise is the mean over the pairs of different blocks of the last third minus that of the first.
CREATE TEMP VIEW layer_rises AS
WITH pairs AS (
    SELECT p.*, m.num_blocks, greatest(2, m.num_blocks // 3) AS size
    FROM layer_pairs AS p
    JOIN benchmark_models AS m USING (model)
    WHERE m.family = 'vit' AND p.layer_a < p.layer_b AND starts_with(p.measure, 'pearson')
),
thirds AS (
    SELECT *, layer_a >= num_blocks - size AS is_last
    FROM pairs
    WHERE num_blocks >= 2 * size AND (layer_b < size OR layer_a >= num_blocks - size)
)
SELECT
    model,
    measure,
    any_value(num_images) AS num_images,
    ordered_mean(CASE WHEN is_last THEN value END, layer_a * num_blocks + layer_b)
    - ordered_mean(CASE WHEN NOT is_last THEN value END, layer_a * num_blocks + layer_b) AS rise
FROM thirds
GROUP BY model, measure;
