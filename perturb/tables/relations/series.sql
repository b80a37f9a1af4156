-- NEEDS benchmark_models
-- Which models a straight line is fitted through: one family, one pre-training set, one patch
-- size. The patch size is the one that exists in most sizes, the smaller one at a tie; a size
-- that lacks it enters with the nearest patch size it has. On the paper's grid that gives
-- ViT-B/16, L/16 and H/14, which are the points of its Figure 4. ResNets have no patches: all.
CREATE TEMP VIEW series AS
WITH longest AS (
    SELECT
        family,
        pretraining,
        patch_size,
        row_number() OVER (
            PARTITION BY family, pretraining
            ORDER BY count(DISTINCT size) DESC, patch_size
        ) AS place
    FROM compared_models
    GROUP BY family, pretraining, patch_size
),
ranked AS (
    SELECT
        m.*,
        dense_rank() OVER (
            PARTITION BY m.family, m.pretraining, m.size
            ORDER BY abs(m.patch_size - longest.patch_size), m.patch_size
        ) AS place
    FROM compared_models AS m
    JOIN longest ON longest.family = m.family
        AND longest.pretraining = m.pretraining
        AND longest.place = 1
)
SELECT * EXCLUDE (place)
FROM ranked
WHERE place = 1;

-- Least-squares weights of a line over log10(parameters): slope = sum of weight * value. The runs of
-- an entry share the weight of one model: the line is that of the means over its runs.
CREATE TEMP VIEW slope_weights AS
WITH places AS (
    SELECT *, log10(num_parameters) AS x, 1 / count(*) OVER (PARTITION BY entry) AS share
    FROM series
),
centred AS (
    SELECT
        family,
        pretraining,
        ordered_sum(share * x, model) / ordered_sum(share, model) AS mean_x
    FROM places
    GROUP BY family, pretraining
    HAVING count(DISTINCT num_parameters) > 1
),
spread AS (
    SELECT
        family,
        pretraining,
        mean_x,
        ordered_sum(share * (x - mean_x) ** 2, model) AS sum_xx
    FROM places
    JOIN centred USING (family, pretraining)
    GROUP BY family, pretraining, mean_x
)
SELECT
    family,
    pretraining,
    pretraining_rank,
    entry,
    run,
    model,
    mean_x,
    share,
    x - mean_x AS centred_x,
    share * (x - mean_x) / sum_xx AS weight
FROM places
JOIN spread USING (family, pretraining);
