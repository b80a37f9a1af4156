-- The points of Figure 4, with the error of the fitted line at each fitted model, and the error on
-- the same images without corruption. Networks of other families are points without a line.
WITH points AS (
    SELECT
        test_set,
        model,
        1 - sum(num_correct) / sum(num_predictions) AS error,
        1 - accuracy_high(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS error_low,
        1 - accuracy_low(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions))
            AS error_high,
        count(*) AS num_images
    FROM image_outcomes
    GROUP BY test_set, model
),
lines AS (
    SELECT
        test_set,
        family,
        pretraining,
        any_value(mean_x) AS mean_x,
        ordered_sum(CASE WHEN error > 0 THEN share * log10(error) END, model)
            / ordered_sum(CASE WHEN error > 0 THEN share END, model) AS mean_y
    FROM slope_weights
    JOIN points USING (model)
    GROUP BY test_set, family, pretraining
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    m.model,
    m.architecture_label,
    m.family,
    m.patch_size,
    m.pretraining,
    m.pretraining_label,
    m.num_parameters,
    points.num_images,
    points.error,
    points.error_low,
    points.error_high,
    1 - clean.k / clean.n AS clean_error,
    1 - wilson_high(clean.k, clean.n) AS clean_error_low,
    1 - wilson_low(clean.k, clean.n) AS clean_error_high,
    slope_weights.model IS NOT NULL AS is_fitted,
    CASE WHEN slope_weights.model IS NOT NULL
        THEN 10 ** (lines.mean_y + contrasts.estimate * slope_weights.centred_x)
    END AS fitted_error
FROM points
JOIN test_sets USING (test_set)
JOIN benchmark_models AS m USING (model)
LEFT JOIN clean_sums AS clean
    ON clean.test_set = points.test_set AND clean.model = points.model
LEFT JOIN slope_weights ON slope_weights.model = points.model
LEFT JOIN lines ON lines.test_set = points.test_set
    AND lines.family = m.family
    AND lines.pretraining = m.pretraining
LEFT JOIN contrasts ON contrasts.test_set = points.test_set
    AND contrasts.kind = 'error_slope'
    AND contrasts.name = m.family
    AND contrasts.pretraining = m.pretraining
WHERE test_sets.experiment IN ('benchmarks', 'corruptions')
    AND m.pretraining_rank = coalesce(
        (SELECT max(pretraining_rank) FROM compared_models),
        (SELECT max(pretraining_rank) FROM benchmark_models))
ORDER BY test_sets.position, test_sets.test_set, m.family, m.num_parameters, m.model;
