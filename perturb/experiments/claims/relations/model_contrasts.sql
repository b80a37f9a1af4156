-- NEEDS series, single_drops, layer_pairs
-- Statistics of the claims on changed ViTs: weighted sums of accuracies under changes, over all ViTs
-- and pre-training sets. All predictions are of the same images, so the interval is computed from
-- the images' weighted sums, as in contrasts.sql.
--
--   condition_difference  one kind of change minus another, at equal numbers (or distances),
--                         mean over these numbers, then over ViTs
--   lesion_pair           accuracy lost without n blocks, of one ViT minus that of another, mean over
--                         n, then over pairs:
--     large - small data           the same network at the largest and at the smallest pre-training
--                                  set, at equal numbers of blocks
--     small - large, equal number  the smallest and the largest ViT of a series (series.sql)
--     small - large, equal fraction   the same at equal fractions of the blocks: the larger ViT's
--                                  losses on straight lines between the removed numbers of blocks
--   layer_rise            correlation of the last third's layers minus that of the first third's
--   worst_lesion          largest loss of any ViT without any one block except the first
CREATE TEMP TABLE change_values AS
SELECT
    perturbation AS test_set,
    condition,
    severity,
    o.model,
    image,
    num_correct / num_predictions AS value
FROM model_outcomes AS o
JOIN benchmark_models AS m USING (model)
WHERE m.family = 'vit'
    AND perturbation IN (
        SELECT test_set FROM claim_rules WHERE kind IN ('condition_difference', 'lesion_pair'))
UNION ALL
SELECT
    measure, 'rise', 0, model, dense_rank() OVER (PARTITION BY measure ORDER BY image_id), rise
FROM image_rises
SEMI JOIN layer_rises USING (model, measure);

-- All cells that were run, whether or not there is a comparison.
CREATE TEMP VIEW change_sets AS
SELECT perturbation AS test_set FROM model_samples
UNION
SELECT measure FROM layer_pairs;

CREATE TEMP TABLE changes AS
SELECT DISTINCT test_set, condition, severity, model
FROM change_values;

-- Weights of the accuracy lost: correct predictions of the unchanged model minus those of the
-- changed one.
CREATE TEMP VIEW loss_weights AS
WITH losses AS (
    SELECT model, severity AS n
    FROM changes
    WHERE test_set = 'lesions' AND condition = 'block' AND severity > 0
),
of_data AS (
    SELECT
        'large - small data' AS name,
        arg_max(model, (pretraining_rank, model)) AS plus,
        arg_min(model, (pretraining_rank, model)) AS minus
    FROM compared_models
    WHERE pretraining_rank IN (
            SELECT unnest([min(pretraining_rank), max(pretraining_rank)]) FROM compared_models)
        AND model IN (SELECT model FROM losses)
    GROUP BY size, patch_size
    HAVING min(pretraining_rank) < max(pretraining_rank)
),
of_size AS (
    SELECT
        arg_min(model, (num_parameters, model)) AS plus,
        arg_max(model, (num_parameters, model)) AS minus
    FROM series
    WHERE family = 'vit' AND model IN (SELECT model FROM losses)
    GROUP BY pretraining
    HAVING count(DISTINCT size) > 1 AND min(num_parameters) < max(num_parameters)
),
at_equal_number AS (
    SELECT name, plus, minus, p.n AS plus_n, m.n AS minus_n, 1.0 AS share
    FROM (
        FROM of_data
        UNION ALL
        SELECT 'small - large, equal number', plus, minus FROM of_size
    ) AS pairs
    JOIN losses AS p ON p.model = plus
    JOIN losses AS m ON m.model = minus AND m.n = p.n
),
-- If the number of blocks that is the same fraction of the larger ViT was not removed, the losses
-- at the two nearest numbers are interpolated linearly. The loss without removed blocks is 0.
shares AS (
    SELECT
        plus,
        minus,
        p.n AS plus_n,
        p.n * large.num_blocks / small.num_blocks AS x,
        max(m.n) FILTER (m.n <= x) AS below,
        min(m.n) FILTER (m.n >= x) AS above
    FROM of_size
    JOIN benchmark_models AS small ON small.model = plus
    JOIN benchmark_models AS large ON large.model = minus
    JOIN losses AS p ON p.model = plus
    JOIN (FROM losses UNION ALL SELECT DISTINCT model, 0 FROM losses) AS m ON m.model = minus
    GROUP BY ALL
),
at_equal_fraction AS (
    SELECT
        'small - large, equal fraction' AS name,
        plus,
        minus,
        plus_n,
        unnest([below, above]) AS minus_n,
        unnest(CASE WHEN below = above THEN [1.0, 0.0]
            ELSE [(above - x) / (above - below), (x - below) / (above - below)] END) AS share
    FROM shares
    -- Above the larger ViT's last number of removed blocks there is no value.
    WHERE above IS NOT NULL
),
points AS (
    SELECT
        *,
        count(DISTINCT (plus, minus)) OVER (PARTITION BY name) AS num_pairs,
        count(DISTINCT plus_n) OVER (PARTITION BY name, plus, minus) AS num_points
    FROM (FROM at_equal_number UNION ALL FROM at_equal_fraction)
),
signed AS (
    SELECT name, unnest([plus, minus]) AS model, unnest([plus_n, minus_n]) AS n,
        unnest([share, -share]) / (num_points * num_pairs) AS weight
    FROM points
)
SELECT name, model, n, weight
FROM signed
WHERE weight <> 0;

CREATE TEMP TABLE change_weights AS
WITH differences AS (
    SELECT DISTINCT
        test_set,
        name,
        split_part(name, ' - ', 1) AS plus,
        split_part(name, ' - ', 2) AS minus
    FROM claim_rules
    WHERE kind = 'condition_difference'
),
compared AS (
    SELECT d.*, a.model, a.severity
    FROM differences AS d
    JOIN changes AS a ON a.test_set = d.test_set AND a.condition = d.plus
    JOIN changes AS b
        ON b.test_set = d.test_set
        AND b.condition = d.minus
        AND b.severity = a.severity
        AND b.model = a.model
    JOIN benchmark_models AS m ON m.model = a.model
    WHERE CASE d.test_set
        -- At larger distances no pair is masked.
        WHEN 'restricted_attention' THEN a.severity < m.grid_side - 1
        -- The first and the last n blocks are equal where n is the number of all blocks.
        WHEN 'patch_attention' THEN a.severity BETWEEN 1 AND m.num_blocks - 1
        ELSE a.severity > 0 END
),
of_conditions AS (
    SELECT
        *,
        count(DISTINCT model) OVER (PARTITION BY test_set, name) AS num_models,
        count(*) OVER (PARTITION BY test_set, name, model) AS num_severities
    FROM compared
)
SELECT
    test_set,
    'condition_difference' AS kind,
    name,
    model,
    unnest([plus, minus]) AS condition,
    severity,
    unnest([1.0, -1.0]) / (num_severities * num_models) AS weight
FROM of_conditions
UNION ALL
SELECT
    'lesions',
    'lesion_pair',
    name,
    model,
    'block',
    unnest([0, n]),
    unnest([weight, -weight])
FROM loss_weights
UNION ALL
SELECT test_set, 'layer_rise', 'vit', model, condition, severity,
    1 / count(*) OVER (PARTITION BY test_set)
FROM changes
WHERE condition = 'rise';

CREATE TEMP VIEW weighted_contrasts AS
WITH images AS (
    SELECT
        test_set,
        kind,
        name,
        image,
        ordered_sum(weight * value, (model, condition, severity, weight)) AS influence
    FROM change_weights
    JOIN change_values USING (test_set, model, condition, severity)
    GROUP BY ALL
),
sizes AS (
    SELECT test_set, kind, name, count(DISTINCT model) AS num_models
    FROM change_weights
    GROUP BY ALL
)
SELECT
    test_set,
    kind,
    name,
    any_value(num_models) AS num_models,
    count(*) AS num_images,
    ordered_mean(influence, image) AS estimate,
    nullif(z95() * ordered_stddev(influence, image) / sqrt(count(*)), 0) AS half_width
FROM images
JOIN sizes USING (test_set, kind, name)
GROUP BY test_set, kind, name;

-- The maximum of many drops. It is below the upper end of the interval of the true worst drop, and
-- so below the highest of all upper ends. It is above all lower ends, of which the highest is
-- chosen: each must then hold at its fraction of the 2.5 % (Bonferroni).
CREATE TEMP VIEW worst_lesions AS
WITH drops AS (
    SELECT
        model,
        num_images,
        drop,
        coalesce(drop_half_width, 0) AS half_width,
        normal_quantile(0.025 / count(*) OVER ()) / z95() AS widening
    FROM single_drops
    JOIN benchmark_models AS m USING (model)
    WHERE perturbation = 'lesions' AND condition = 'block' AND sample <> 0 AND m.family = 'vit'
)
SELECT
    count(DISTINCT model) AS num_models,
    max(num_images) AS num_images,
    max(drop) AS estimate,
    CASE WHEN max(half_width) > 0 THEN max(drop - widening * half_width) END AS low,
    CASE WHEN max(half_width) > 0 THEN max(drop + half_width) END AS high
FROM drops
HAVING count(*) > 0;

CREATE TEMP TABLE model_contrasts AS
SELECT
    test_set,
    kind,
    name,
    estimate,
    estimate - half_width AS low,
    estimate + half_width AS high,
    num_models,
    num_images
FROM weighted_contrasts
UNION ALL
SELECT 'lesions', 'worst_lesion', 'vit', estimate, low, high, num_models, num_images
FROM worst_lesions;
