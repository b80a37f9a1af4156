-- NEEDS series, matched, patch_pairs, image_values
-- Every comparison between models as a weighted sum of their values on one test set: accuracies, or
-- what else `model_values` holds. All models see the same images, so the interval comes from the
-- images' own weighted sums: paired by image, whatever the models have in common cancels. Where a
-- network was trained several times, the variance between its runs is added.
--
-- The estimate is the weighted sum itself. Its interval is centre +- t * sqrt(variance), with the
-- quantile of Student's t at the degrees of freedom, which are infinite for images alone.
--
-- Among models of one pre-training set:
--   pair              one ViT minus its ResNet of matched size
--   mean_pair         the mean of the pairs whose ViT is in the series
--   accuracy_slope    slope of accuracy over log10(parameters)
--   error_slope       slope of log10(error) over log10(parameters); the weights are those of the
--                     delta method: d log10(error) = - d accuracy / (error * ln 10)
--   slope_difference  the ViTs' error slope minus the ResNets'
--   patch_pair        the ViT of the largest patches minus that of the smallest, of one size
-- Over all pre-training sets (pretraining is null):
--   small_patch_pair  the mean of the pairs whose ViT has the smallest patches of its size, where
--                     there are larger ones
--   mean_patch_pair   the mean of the pairs of patch sizes
--   family_mean       the mean of a family's models, ViTs or ResNets
--   family_difference the ViTs' mean minus the ResNets'
CREATE TEMP TABLE contrast_weights AS
WITH differences AS (
    SELECT 'pair' AS kind, vit AS name, pretraining, pretraining_rank, vit AS plus, resnet AS minus
    FROM matched
    UNION ALL
    SELECT 'mean_pair', 'vit - resnet', pretraining, pretraining_rank, vit, resnet
    FROM matched
    WHERE is_series
    UNION ALL
    SELECT 'small_patch_pair', 'small patch - resnet', NULL, NULL, vit, resnet
    FROM matched
    WHERE vit IN (SELECT small FROM patch_pairs)
    UNION ALL
    SELECT 'patch_pair', large, pretraining, pretraining_rank, large, small
    FROM patch_pairs
    UNION ALL
    SELECT 'mean_patch_pair', 'large - small patch', NULL, NULL, large, small
    FROM patch_pairs
),
-- The runs of one pair of entries count together as much as a pair of one run.
pairs AS (
    SELECT
        d.*,
        1 / count(DISTINCT (p.entry, m.entry)) OVER (PARTITION BY kind, name, d.pretraining)
        / count(*) OVER (PARTITION BY kind, name, d.pretraining, p.entry, m.entry) AS share
    FROM differences AS d
    JOIN benchmark_models AS p ON p.model = plus
    JOIN benchmark_models AS m ON m.model = minus
),
signed AS (
    SELECT
        kind,
        name,
        pretraining,
        pretraining_rank,
        unnest([plus, minus]) AS model,
        unnest([share, -share]) AS weight
    FROM pairs
),
mean_differences AS (
    -- Where two ViTs share a ResNet, its weights add up.
    SELECT
        kind,
        name,
        pretraining,
        pretraining_rank,
        model,
        ordered_sum(weight, weight) AS weight
    FROM signed
    GROUP BY kind, name, pretraining, pretraining_rank, model
),
family_means AS (
    -- The runs of one entry count together as much as an entry of one run.
    SELECT
        family,
        model,
        1 / count(DISTINCT entry) OVER (PARTITION BY family)
        / count(*) OVER (PARTITION BY entry) AS weight
    FROM compared_models
),
families AS (
    SELECT 'family_mean' AS kind, family AS name, model, weight
    FROM family_means
    UNION ALL
    SELECT
        'family_difference',
        'vit - resnet',
        model,
        CASE family WHEN 'vit' THEN weight ELSE -weight END
    FROM family_means
    -- One family alone has no difference.
    WHERE (SELECT count(DISTINCT family) FROM family_means) = 2
),
on_values AS (
    SELECT test_set, c.*, value * weight AS term
    FROM (
        FROM mean_differences
        UNION ALL
        SELECT kind, name, NULL, NULL, model, weight FROM families
        UNION ALL
        SELECT 'accuracy_slope', family, pretraining, pretraining_rank, model, weight
        FROM slope_weights
    ) AS c
    JOIN model_values USING (model)
),
error_slopes AS (
    -- Without a single error the logarithm does not exist: the nulls make the contrast null.
    SELECT
        test_set,
        'error_slope' AS kind,
        family AS name,
        pretraining,
        pretraining_rank,
        model,
        CASE WHEN value < 1 THEN -weight / ((1 - value) * ln(10)) END AS weight,
        CASE WHEN value < 1 THEN weight * log10(1 - value) END AS term
    FROM slope_weights
    JOIN model_values USING (model)
    WHERE test_set IN (SELECT test_set FROM image_outcomes)
),
slope_differences AS (
    SELECT
        test_set,
        'slope_difference' AS kind,
        'vit - resnet' AS name,
        pretraining,
        pretraining_rank,
        model,
        CASE name WHEN 'vit' THEN weight ELSE -weight END AS weight,
        CASE name WHEN 'vit' THEN term ELSE -term END AS term
    FROM error_slopes
    -- One family alone has no difference.
    WHERE (test_set, pretraining) IN (
        SELECT (test_set, pretraining)
        FROM error_slopes
        WHERE name IN ('vit', 'resnet')
        GROUP BY test_set, pretraining
        HAVING count(DISTINCT name) = 2
    )
)
FROM on_values
UNION ALL
FROM error_slopes
UNION ALL
FROM slope_differences;

-- The values of all models on an image as one list, in the order of the models: a comparison then
-- picks its models by their places. All models have every image of a test set.
CREATE TEMP TABLE value_lists AS
SELECT test_set, image, list(value ORDER BY model) AS values
FROM image_values
GROUP BY test_set, image;

CREATE TEMP TABLE contrast_lists AS
WITH places AS (
    SELECT
        test_set,
        model,
        row_number() OVER (PARTITION BY test_set ORDER BY model) AS place,
        count(*) OVER (PARTITION BY test_set) AS num_models
    FROM model_values
)
SELECT
    test_set,
    kind,
    name,
    pretraining,
    any_value(num_models) AS num_models,
    CASE WHEN count(weight) = count(*)
        THEN list({'place': place, 'weight': weight} ORDER BY place) END AS weights,
    -- How low and how high an image can bring the comparison; null if nothing bounds the values.
    CASE WHEN count(lowest) = count(*)
        THEN ordered_sum(least(weight * lowest, weight * highest), place) END AS lowest,
    CASE WHEN count(highest) = count(*)
        THEN ordered_sum(greatest(weight * lowest, weight * highest), place) END AS highest
FROM contrast_weights
JOIN places USING (test_set, model)
LEFT JOIN value_ranges USING (test_set, model)
GROUP BY test_set, kind, name, pretraining;

-- Variance between the runs of an entry; 0 where it was trained once.
CREATE TEMP TABLE run_spreads AS
SELECT
    test_set,
    entry,
    coalesce(ordered_stddev(value, model) ** 2, 0) AS variance,
    count(*) - 1.0 AS freedom
FROM model_values
JOIN benchmark_models USING (model)
GROUP BY test_set, entry;

-- Variance of a comparison between the runs of its entries. Their weights may differ: a ResNet's
-- first runs may be in more pairs than its others. A run that has no partner is in no pair, and
-- tells all the same how far runs lie apart. A single pair is about these two runs.
CREATE TEMP TABLE run_variances AS
WITH entries AS (
    SELECT
        test_set,
        kind,
        name,
        contrast_weights.pretraining,
        entry,
        CASE WHEN kind IN ('pair', 'patch_pair') THEN 0 ELSE ordered_sum(weight ** 2, model) END
            AS weight
    FROM contrast_weights
    JOIN benchmark_models USING (model)
    GROUP BY test_set, kind, name, contrast_weights.pretraining, entry
)
SELECT
    test_set,
    kind,
    name,
    pretraining,
    ordered_sum(weight * variance, entry) AS variance,
    ordered_sum(freedom_part(weight * variance, freedom), entry) AS parts
FROM entries
JOIN run_spreads USING (test_set, entry)
GROUP BY test_set, kind, name, pretraining;

CREATE TEMP TABLE contrasts AS
WITH terms AS (
    SELECT
        test_set,
        kind,
        name,
        pretraining,
        pretraining_rank,
        count(DISTINCT entry) AS num_models,
        string_agg(model, ', ' ORDER BY model) AS models,
        CASE WHEN count(term) = count(*) THEN ordered_sum(term, model) END AS estimate
    FROM contrast_weights
    JOIN (SELECT model, entry FROM benchmark_models) USING (model)
    GROUP BY ALL
),
images AS (
    SELECT
        test_set,
        kind,
        name,
        pretraining,
        image,
        CASE WHEN len(values) <> num_models
            THEN error('test set ' || test_set || ': a model lacks images that others have')
            ELSE list_sum(list_transform(weights, lambda term: values[term.place] * term.weight))
        END AS influence
    FROM value_lists
    JOIN contrast_lists USING (test_set)
),
influences AS (
    SELECT test_set, kind, name, pretraining, list(influence ORDER BY image) AS influences
    FROM images
    GROUP BY test_set, kind, name, pretraining
),
-- Where a value or the comparison is no plain sum over images but a line drawn at the estimate, an
-- image counts by its distance from the mean.
distances AS (
    SELECT
        i.*,
        lists.lowest,
        lists.highest,
        len(influences) AS n,
        list_sum(influences) / n AS mean,
        of_accuracies.test_set IS NULL OR kind IN ('error_slope', 'slope_difference') AS is_line,
        CASE WHEN is_line THEN mean ELSE 0 END AS origin,
        list_transform(influences, lambda value: value - origin) AS d,
        greatest(lists.highest - origin, origin - lists.lowest) AS reach
    FROM influences AS i
    JOIN contrast_lists AS lists USING (test_set, kind, name)
    LEFT JOIN (SELECT DISTINCT test_set FROM image_outcomes) AS of_accuracies USING (test_set)
    WHERE i.pretraining IS NOT DISTINCT FROM lists.pretraining
),
sums AS (
    SELECT
        *,
        list_sum(d) AS d1,
        list_sum(list_transform(d, lambda value: value ** 2)) AS d2,
        list_sum(list_transform(d, lambda value: value ** 4)) AS d4
    FROM distances
),
over_images AS (
    SELECT
        * EXCLUDE (influences, d, reach),
        CASE
            WHEN reach IS NULL THEN 'free'
            WHEN kind = 'family_mean' AND NOT is_line THEN 'bounded'
            ELSE 'contrast'
        END AS rule,
        -- From the estimate to the centre.
        CASE rule
            WHEN 'free' THEN 0
            WHEN 'bounded' THEN bounded_centre(d1, d2, n) - mean
            ELSE contrast_centre(d1, n) - d1 / n
        END AS shift,
        CASE rule
            -- Images that all give the same value say nothing of others.
            WHEN 'free' THEN nullif(d2 / nullif(n - 1, 0) / n, 0)
            WHEN 'bounded' THEN bounded_variance(d1, d2, n)
            ELSE contrast_variance(d1, d2, d4, n, reach)
        END AS images_variance
    FROM sums
),
intervals AS (
    SELECT
        o.*,
        images_variance + runs.variance AS variance,
        total_freedom(
            images_variance + runs.variance,
            runs.variance + CASE rule WHEN 'free' THEN images_variance ELSE 0 END,
            runs.parts
            + CASE rule WHEN 'free' THEN freedom_part(images_variance, n - 1) ELSE 0 END
        ) AS degrees_of_freedom
    FROM over_images AS o
    JOIN run_variances AS runs USING (test_set, kind, name)
    WHERE o.pretraining IS NOT DISTINCT FROM runs.pretraining
)
SELECT
    terms.*,
    intervals.n AS num_images,
    estimate + shift AS centre,
    intervals.variance,
    intervals.degrees_of_freedom,
    CASE WHEN is_line THEN interval_low(centre, variance, degrees_of_freedom)
        ELSE at_least(lowest, interval_low(centre, variance, degrees_of_freedom)) END AS low,
    CASE WHEN is_line THEN interval_high(centre, variance, degrees_of_freedom)
        ELSE at_most(highest, interval_high(centre, variance, degrees_of_freedom)) END AS high
FROM terms
JOIN intervals
    ON intervals.test_set = terms.test_set
    AND intervals.kind = terms.kind
    AND intervals.name = terms.name
    AND intervals.pretraining IS NOT DISTINCT FROM terms.pretraining;
