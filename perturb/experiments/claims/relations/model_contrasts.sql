-- NEEDS change_weights
-- Statistics of the claims on changed ViTs (change_weights.sql) with their errors, each and its
-- components; the component of a whole statistic is null. Three sources of error add up
-- (`total_freedom`):
--
--   images   all predictions are of the same images, so it is that of the images' weighted sums
--   draws    of random sets of blocks and of masks: the variance of the whole statistic evaluated
--            with one draw alone, over the number of draws. What shares a draw is summed first. Sets
--            of blocks are drawn without repetition: all possible sets leave no error
--   runs     of the training, where a model was trained several times
CREATE TEMP TABLE change_influences AS
WITH components AS (
    SELECT
        test_set,
        kind,
        name,
        component,
        image,
        ordered_sum(weight * value, (model, condition, severity, weight)) AS influence
    FROM change_weights
    JOIN change_values USING (test_set, model, condition, severity)
    GROUP BY ALL
)
FROM components
UNION ALL
SELECT test_set, kind, name, NULL, image, ordered_mean(influence, component)
FROM components
GROUP BY ALL;

-- The weights of a component in the whole, beside its own.
CREATE TEMP TABLE summed_weights AS
WITH sizes AS (
    SELECT test_set, kind, name, count(DISTINCT component) AS num_components
    FROM change_weights
    GROUP BY ALL
),
both_levels AS (
    FROM change_weights
    UNION ALL
    SELECT * EXCLUDE (num_components)
        REPLACE (NULL AS component, weight / num_components AS weight)
    FROM change_weights
    JOIN sizes USING (test_set, kind, name)
)
SELECT
    test_set, kind, name, component, model, condition, severity,
    ordered_sum(weight, weight) AS weight
FROM both_levels
GROUP BY ALL;

CREATE TEMP VIEW image_errors AS
WITH reaches AS (
    SELECT
        test_set,
        kind,
        name,
        component,
        count(DISTINCT entry) AS num_models,
        -- Correlations have no reach within which nearly all of them vary.
        CASE WHEN kind <> 'layer_rise' THEN greatest(
            ordered_sum(greatest(weight, 0), (s.model, condition, severity)),
            ordered_sum(greatest(-weight, 0), (s.model, condition, severity))) END AS reach
    FROM summed_weights AS s
    JOIN benchmark_models AS m ON m.model = s.model
    GROUP BY test_set, kind, name, component
),
sums AS (
    SELECT
        test_set,
        kind,
        name,
        component,
        count(*) AS num_images,
        ordered_sum(influence, image) AS d,
        ordered_sum(influence ** 2, image) AS d2,
        ordered_sum(influence ** 4, image) AS d4,
        ordered_stddev(influence, image) AS deviation
    FROM change_influences
    GROUP BY ALL
)
SELECT
    sums.test_set,
    sums.kind,
    sums.name,
    sums.component,
    num_models,
    num_images,
    d / num_images AS estimate,
    CASE WHEN reach IS NULL THEN estimate ELSE contrast_centre(d, num_images) END AS centre,
    -- Images that all give the same value say nothing of others.
    CASE WHEN reach IS NULL THEN nullif(deviation ** 2 / num_images, 0)
        ELSE contrast_variance(d, d2, d4, num_images, reach) END AS variance,
    CASE WHEN reach IS NULL THEN num_images - 1.0 ELSE 'Infinity'::DOUBLE END AS freedom
FROM sums
JOIN reaches
    ON reaches.test_set = sums.test_set
    AND reaches.kind = sums.kind
    AND reaches.name = sums.name
    AND reaches.component IS NOT DISTINCT FROM sums.component;

-- Accuracies with one draw. Masks of one number share their draws at all distances and in all models
-- of one grid; sets of blocks are drawn anew for every part and number of blocks.
CREATE TEMP TABLE drawn_values AS
SELECT
    perturbation AS test_set,
    condition,
    severity,
    model,
    sample,
    k / num_images AS value,
    CASE perturbation WHEN 'lesions' THEN severity ELSE 0 END AS stream,
    count(*) OVER (PARTITION BY perturbation, condition, severity, model) AS num_draws,
    coalesce(num_sets, 'Infinity'::DOUBLE) AS num_possible
FROM model_samples
LEFT JOIN possible_sets USING (perturbation, condition, severity, model)
JOIN benchmark_models AS m USING (model)
WHERE m.family = 'vit'
    AND is_in_series
    AND sample > 0
    -- Single blocks are not drawn: each is removed.
    AND NOT (perturbation = 'lesions' AND severity <= 1);

CREATE TEMP VIEW draw_errors AS
WITH draws AS (
    SELECT
        test_set,
        kind,
        name,
        component,
        condition,
        stream,
        num_draws,
        sample,
        max(greatest(0, 1 - num_draws / num_possible)) AS left_out,
        ordered_sum(weight * value, (model, severity)) AS value
    FROM summed_weights
    JOIN drawn_values USING (test_set, condition, severity, model)
    GROUP BY ALL
)
SELECT
    test_set,
    kind,
    name,
    component,
    -- The error of a single draw is unknown.
    CASE WHEN max(left_out) = 0 THEN 0
        ELSE max(left_out) * ordered_stddev(value, sample) ** 2 / num_draws END AS variance,
    num_draws - 1.0 AS freedom
FROM draws
GROUP BY test_set, kind, name, component, condition, stream, num_draws;

CREATE TEMP VIEW run_errors AS
WITH means AS (
    SELECT test_set, condition, severity, model, ordered_mean(value, image) AS value
    FROM change_values
    GROUP BY ALL
),
runs AS (
    SELECT
        test_set,
        kind,
        name,
        component,
        entry,
        model,
        num_runs,
        ordered_sum(weight * value, (condition, severity)) AS value
    FROM summed_weights
    JOIN means USING (test_set, condition, severity, model)
    JOIN model_runs USING (model)
    WHERE num_runs > 1
    GROUP BY ALL
)
SELECT
    test_set,
    kind,
    name,
    component,
    num_runs * ordered_stddev(value, model) ** 2 AS variance,
    num_runs - 1.0 AS freedom
FROM runs
GROUP BY test_set, kind, name, component, entry, num_runs;

CREATE TEMP TABLE model_contrasts AS
WITH errors AS (
    SELECT test_set, kind, name, component, variance, freedom FROM image_errors
    UNION ALL
    FROM draw_errors
    UNION ALL
    FROM run_errors
),
sums AS (
    SELECT
        test_set,
        kind,
        name,
        component,
        CASE WHEN count(variance) = count(*) THEN ordered_sum(variance, (variance, freedom)) END
            AS variance,
        ordered_sum(estimated_part(variance, freedom), (variance, freedom)) AS estimated,
        ordered_sum(freedom_part(variance, freedom), (variance, freedom)) AS parts
    FROM errors
    GROUP BY test_set, kind, name, component
),
totals AS (
    SELECT *, total_freedom(variance, estimated, parts) AS degrees_of_freedom
    FROM sums
)
SELECT
    i.test_set,
    i.kind,
    i.name,
    i.component,
    estimate,
    interval_low(centre, totals.variance, degrees_of_freedom) AS low,
    interval_high(centre, totals.variance, degrees_of_freedom) AS high,
    centre,
    totals.variance,
    degrees_of_freedom,
    num_models,
    num_images
FROM image_errors AS i
JOIN totals
    ON totals.test_set = i.test_set
    AND totals.kind = i.kind
    AND totals.name = i.name
    AND totals.component IS NOT DISTINCT FROM i.component;
