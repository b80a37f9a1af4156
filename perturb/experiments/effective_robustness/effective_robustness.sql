-- Accuracy on perturbed images beyond what the clean accuracy predicts. Sums over images come from
-- the fit; two samples of images, clean ones and others, are two sources of error.
WITH sums AS (
    SELECT
        test_set::VARCHAR AS test_set,
        model::VARCHAR AS model,
        count(*) AS num_images,
        sum(num_correct) AS k,
        sum(num_correct ** 2) AS k2,
        max(num_predictions) AS predictions
    FROM image_outcomes
    GROUP BY ALL
),
fits AS (
    SELECT
        *,
        z95() * sqrt(
            contrast_variance(0, d2, d4, num_images, 1)
            + CASE WHEN is_same_images THEN 0
                ELSE contrast_variance(0, clean_d2, clean_d4, num_clean_images, 1) END)
            AS half_width
    FROM robustness_fits
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    m.*,
    fits.num_images,
    fits.num_clean_images AS num_unperturbed,
    fits.is_same_images,
    num_clean_right / num_clean_images AS unperturbed_accuracy,
    wilson_low(num_clean_right, num_clean_images) AS unperturbed_accuracy_low,
    wilson_high(num_clean_right, num_clean_images) AS unperturbed_accuracy_high,
    sums.k / (sums.num_images * predictions) AS accuracy,
    accuracy_low(sums.k, sums.k2, sums.num_images, predictions) AS accuracy_low,
    accuracy_high(sums.k, sums.k2, sums.num_images, predictions) AS accuracy_high,
    fits.predicted AS predicted_accuracy,
    fits.estimate AS effective_robustness,
    at_least(-1, fits.estimate - fits.half_width) AS effective_robustness_low,
    at_most(1, fits.estimate + fits.half_width) AS effective_robustness_high,
    fits.num_baseline,
    fits.intercept AS line_intercept,
    fits.slope AS line_slope
FROM fits
JOIN test_sets USING (test_set)
JOIN model_columns AS m USING (model)
JOIN sums ON sums.test_set = fits.test_set AND sums.model = fits.model
ORDER BY
    test_sets.position, test_sets.test_set, m.pretraining_rank, m.family, m.num_parameters, m.model;
