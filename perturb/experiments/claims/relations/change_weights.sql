-- NEEDS series, model_outcomes, layer_pairs
-- What claims on changed ViTs compare: weighted sums of accuracies under changes. A statistic is the
-- mean of its components, and each component is a sum over the models, conditions and severities of
-- one ViT or one pair of ViTs. The runs of one model's training share its weight.
--
--   condition_difference  one kind of change minus another, at equal numbers (or distances), mean
--                         over these numbers; a component a ViT
--   lesion_pair           accuracy lost without n blocks, of one ViT minus that of another, mean over
--                         n; a component a pair:
--     large - small data           the same network at the largest and at the smallest pre-training
--                                  set, at equal numbers of blocks
--     small - large, equal number  the smallest and the largest ViT of a series (series.sql)
--     small - large, equal fraction   the same at equal fractions of the blocks: the larger ViT's
--                                  losses on straight lines between the removed numbers of blocks
--   layer_rise            correlation of the last third's layers minus that of the first third's; a
--                         component a ViT
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

CREATE TEMP VIEW model_runs AS
SELECT entry, model, count(*) OVER (PARTITION BY entry) AS num_runs
FROM benchmark_models
WHERE family = 'vit';

-- Weights of the accuracy lost: correct predictions of the unchanged model minus those of the
-- changed one.
CREATE TEMP VIEW loss_weights AS
WITH losses AS (
    SELECT DISTINCT entry, severity AS n
    FROM changes
    JOIN model_runs USING (model)
    WHERE test_set = 'lesions' AND condition = 'block' AND severity > 0
),
of_data AS (
    SELECT
        'large - small data' AS name,
        arg_max(entry, (pretraining_rank, entry)) AS plus,
        arg_min(entry, (pretraining_rank, entry)) AS minus
    FROM compared_models
    WHERE pretraining_rank IN (
            SELECT unnest([min(pretraining_rank), max(pretraining_rank)]) FROM compared_models)
        AND entry IN (SELECT entry FROM losses)
    GROUP BY size, patch_size
    HAVING min(pretraining_rank) < max(pretraining_rank)
),
of_size AS (
    SELECT
        arg_min(entry, (num_parameters, entry)) AS plus,
        arg_max(entry, (num_parameters, entry)) AS minus
    FROM series
    WHERE family = 'vit' AND entry IN (SELECT entry FROM losses)
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
    JOIN losses AS p ON p.entry = plus
    JOIN losses AS m ON m.entry = minus AND m.n = p.n
),
depths AS (
    SELECT entry, any_value(num_blocks) AS num_blocks FROM benchmark_models GROUP BY entry
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
    JOIN depths AS small ON small.entry = plus
    JOIN depths AS large ON large.entry = minus
    JOIN losses AS p ON p.entry = plus
    JOIN (FROM losses UNION ALL SELECT DISTINCT entry, 0 FROM losses) AS m ON m.entry = minus
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
    SELECT *, count(DISTINCT plus_n) OVER (PARTITION BY name, plus, minus) AS num_points
    FROM (FROM at_equal_number UNION ALL FROM at_equal_fraction)
),
signed AS (
    SELECT name, plus || ' - ' || minus AS component, unnest([plus, minus]) AS entry,
        unnest([plus_n, minus_n]) AS n, unnest([share, -share]) / num_points AS weight
    FROM points
)
SELECT name, component, model, n, weight / num_runs AS weight
FROM signed
JOIN model_runs USING (entry)
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
    SELECT d.*, m.entry, a.model, a.severity
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
        -- In the last block alone the patches' attention to each other changes nothing that a class
        -- token reads: one block would favour the last ones by construction. The first and the
        -- last n blocks are equal where n is the number of all blocks.
        WHEN 'patch_attention' THEN a.severity BETWEEN 2 AND m.num_blocks - 1
        ELSE a.severity > 0 END
),
of_conditions AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY test_set, name, model) AS num_severities
    FROM compared
)
SELECT
    test_set,
    'condition_difference' AS kind,
    name,
    entry AS component,
    model,
    unnest([plus, minus]) AS condition,
    severity,
    unnest([1.0, -1.0]) / (num_severities * num_runs) AS weight
FROM of_conditions
JOIN model_runs USING (entry, model)
UNION ALL
SELECT
    'lesions',
    'lesion_pair',
    name,
    component,
    model,
    'block',
    unnest([0, n]),
    unnest([weight, -weight])
FROM loss_weights
UNION ALL
SELECT test_set, 'layer_rise', 'vit', entry, model, condition, severity, 1 / num_runs
FROM changes
JOIN model_runs USING (model)
WHERE condition = 'rise';
