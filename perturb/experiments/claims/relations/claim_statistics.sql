-- NEEDS contrasts, patch_pairs, shape_values, pattern_values, model_contrasts, worst_lesions, rank_correlations
-- The statistics that claims are about, and the components of those that are means: a pair of models
-- or one model each. Where a p-value is given, it is that of the claim's threshold; else it follows
-- from centre, variance and degrees of freedom.
CREATE TEMP TABLE level_contrasts AS
WITH levels AS (
    SELECT pretraining, 'largest' AS level
    FROM compared_models
    WHERE pretraining_rank = (SELECT max(pretraining_rank) FROM compared_models)
    UNION
    -- With one pre-training set there is no "little data" to compare with.
    SELECT pretraining, 'smallest'
    FROM compared_models
    WHERE pretraining_rank = (SELECT min(pretraining_rank) FROM compared_models)
        AND pretraining_rank < (SELECT max(pretraining_rank) FROM compared_models)
)
SELECT
    kind,
    name,
    test_set,
    pretraining,
    coalesce(level, 'all') AS level,
    estimate,
    low,
    high,
    centre,
    variance,
    degrees_of_freedom,
    num_models,
    num_images
FROM contrasts
LEFT JOIN levels USING (pretraining)
WHERE pretraining IS NULL OR level IS NOT NULL OR kind IN ('pair', 'patch_pair');

CREATE TEMP VIEW claim_statistics AS
SELECT * EXCLUDE (pretraining), NULL::DOUBLE AS p_value
FROM level_contrasts
UNION ALL BY NAME
SELECT * EXCLUDE (component), 'all' AS level
FROM model_contrasts
WHERE component IS NULL
UNION ALL BY NAME
SELECT *, 'all' AS level
FROM worst_lesions
UNION ALL BY NAME
SELECT 'rank_correlation' AS kind, 'all' AS name, 'all' AS level, *
FROM rank_correlations;

-- How a sentence names what is compared.
CREATE TEMP VIEW entry_labels AS
SELECT entry, any_value(entry_label) AS label, any_value(pretraining_label) AS set_label
FROM benchmark_models
GROUP BY entry;

CREATE MACRO model_name(label, set_label) AS
    label || CASE WHEN set_label <> '' THEN ' (' || set_label || ')' ELSE '' END;
CREATE MACRO pair_name(plus, plus_set, minus, minus_set) AS
    CASE WHEN plus_set IS NOT DISTINCT FROM minus_set
        THEN model_name(plus || ' against ' || minus, plus_set)
        ELSE model_name(plus, plus_set) || ' against ' || model_name(minus, minus_set) END;

-- A ViT's border ratio itself, and less that of the ResNets' mean.
CREATE TEMP VIEW pattern_components AS
WITH runs AS (
    SELECT
        family,
        entry,
        coalesce(ordered_stddev(value, v.model) ** 2 / count(*), 0) AS variance,
        count(*) - 1.0 AS freedom
    FROM model_values AS v
    JOIN compared_models AS m ON m.model = v.model
    WHERE test_set = 'patterns'
    GROUP BY family, entry
),
-- An entry's runs in its own value, and all ResNets' in their mean.
of_runs AS (
    SELECT entry, variance, freedom_part(variance, freedom) AS parts
    FROM runs
    WHERE family = 'vit'
    UNION ALL
    SELECT
        NULL,
        ordered_sum(variance, entry) / count(*) ** 2,
        ordered_sum(freedom_part(variance, freedom), entry) / count(*) ** 4
    FROM runs
    WHERE family = 'resnet'
    HAVING count(*) > 0
),
images AS (
    SELECT
        m.family,
        m.entry,
        image,
        ordered_mean(value, v.model) AS value
    FROM image_values AS v
    JOIN compared_models AS m ON m.model = v.model
    WHERE test_set = 'patterns'
    GROUP BY ALL
),
of_resnets AS (
    SELECT image, ordered_mean(value, entry) AS value
    FROM images
    WHERE family = 'resnet'
    GROUP BY image
),
of_vits AS (
    SELECT 'family_mean' AS kind, 'vit' AS name, entry, image, value
    FROM images
    WHERE family = 'vit'
    UNION ALL
    SELECT 'family_difference', 'vit - resnet', entry, image, images.value - of_resnets.value
    FROM images
    JOIN of_resnets USING (image)
    WHERE family = 'vit'
),
over_images AS (
    SELECT
        kind,
        name,
        entry,
        ordered_mean(value, image) AS estimate,
        ordered_stddev(value, image) ** 2 / count(*) AS variance,
        count(*) - 1.0 AS freedom
    FROM of_vits
    GROUP BY kind, name, entry
),
sums AS (
    SELECT
        kind,
        name,
        o.entry,
        any_value(estimate) AS estimate,
        any_value(o.variance) + ordered_sum(r.variance, r.entry) AS variance,
        any_value(freedom_part(o.variance, freedom)) + ordered_sum(r.parts, r.entry) AS parts
    FROM over_images AS o
    JOIN of_runs AS r
        ON r.entry = o.entry OR (r.entry IS NULL AND kind = 'family_difference')
    GROUP BY kind, name, o.entry
)
-- The variance over images of values of any size is estimated, too.
SELECT * EXCLUDE (parts), total_freedom(variance, variance, parts) AS degrees_of_freedom
FROM sums;

CREATE TEMP TABLE claim_components AS
WITH pairs AS (
    SELECT 'mean_pair' AS kind, 'vit - resnet' AS name, 'pair' AS part, vit AS plus, resnet AS minus
    FROM matched
    WHERE is_series
    UNION ALL
    SELECT 'small_patch_pair', 'small patch - resnet', 'pair', vit, resnet
    FROM matched
    WHERE vit IN (SELECT small FROM patch_pairs)
    UNION ALL
    SELECT 'mean_patch_pair', 'large - small patch', 'patch_pair', large, small
    FROM patch_pairs
),
-- Runs of one pair are one component: its variance is at most the mean of theirs over images, and
-- that between the runs of both entries over the number of pairs.
runs AS (
    SELECT
        pairs.kind,
        pairs.name,
        test_set,
        CASE pairs.kind WHEN 'mean_pair' THEN level ELSE 'all' END AS level,
        p.entry AS plus,
        m.entry AS minus,
        ordered_mean(estimate, p.model) AS estimate,
        ordered_mean(centre, p.model) AS centre,
        ordered_mean(variance, p.model) AS images,
        min(degrees_of_freedom) AS images_freedom,
        count(*) AS num_pairs
    FROM pairs
    JOIN level_contrasts AS c ON c.kind = part AND c.name = pairs.plus
    JOIN benchmark_models AS p ON p.model = pairs.plus
    JOIN benchmark_models AS m ON m.model = pairs.minus
    GROUP BY ALL
),
sums AS (
    SELECT
        runs.*,
        (p.variance + m.variance) / num_pairs AS between_runs,
        images + between_runs AS variance,
        estimated_part(images, images_freedom) + between_runs AS estimated,
        freedom_part(images, images_freedom)
        + freedom_part(p.variance / num_pairs, p.freedom)
        + freedom_part(m.variance / num_pairs, m.freedom) AS parts
    FROM runs
    JOIN run_spreads AS p ON p.entry = plus AND p.test_set = runs.test_set
    JOIN run_spreads AS m ON m.entry = minus AND m.test_set = runs.test_set
)
SELECT
    kind,
    name,
    test_set,
    level,
    pair_name(p.label, p.set_label, m.label, m.set_label) AS component,
    estimate,
    centre,
    variance,
    total_freedom(variance, estimated, parts) AS degrees_of_freedom
FROM sums
JOIN entry_labels AS p ON p.entry = plus
JOIN entry_labels AS m ON m.entry = minus
UNION ALL
SELECT
    kind,
    name,
    test_set,
    'all',
    CASE WHEN m.entry IS NULL THEN model_name(p.label, p.set_label)
        ELSE pair_name(p.label, p.set_label, m.label, m.set_label) END,
    estimate,
    centre,
    variance,
    degrees_of_freedom
FROM model_contrasts AS c
JOIN entry_labels AS p ON p.entry = split_part(component, ' - ', 1)
LEFT JOIN entry_labels AS m ON m.entry = split_part(component, ' - ', 2)
UNION ALL
SELECT
    kind,
    name,
    'patterns',
    'all',
    model_name(label, set_label),
    estimate,
    estimate,
    variance,
    degrees_of_freedom
FROM pattern_components
JOIN entry_labels USING (entry);
