-- Mean accuracy, mCE and relative mCE over the benchmark's corruptions (Hendrycks and Dietterich,
-- ICLR 2019): CE          = sum_s error(c, s) / sum_s reference(c, s);  mCE = mean over c relative
-- CE = sum_s (error(c, s) - clean error) / sum_s (reference(c, s) - reference clean) For given
-- denominators, all three are means of one number per image, which gives their intervals. A
-- relative CE whose denominator is not positive is not defined, nor is the mean. Denominators are
-- differences of floating-point sums, in which zero may become 1e-16, while one prediction on
-- 50,000 images is 2e-5: values below 1e-9 count as zero.
WITH clean AS (
    SELECT model, image, num_predictions - num_correct AS clean_wrong
    FROM image_outcomes
    WHERE test_set = 'clean'
),
images AS (
    SELECT
        model,
        image,
        count(*) AS num_corruptions,
        max(num_severities)::BIGINT AS num_severities,
        sum(num_severities) AS num_predictions,
        sum(num_severities - num_wrong) AS num_correct,
        any_value(clean_wrong) AS clean_wrong,
        ordered_mean(num_wrong / error_sum, position) AS ce,
        CASE WHEN min(relative_error_sum) > 1e-9 THEN ordered_mean(
            (num_wrong - num_severities * clean_wrong) / relative_error_sum, position)
        END AS relative_ce
    FROM corruption_outcomes
    JOIN clean USING (model, image)
    JOIN datasets USING (dataset)
    JOIN corruptions USING (position)
    JOIN reference_sums USING (position)
    WHERE is_benchmark AND datasets.role IN ('clean', 'corrupted')
    GROUP BY model, image
),
summary AS (
    SELECT
        model,
        any_value(num_corruptions) AS num_corruptions,
        any_value(num_severities) AS num_severities,
        count(*) AS num_images,
        sum(clean_wrong) / count(*) AS clean_error,
        sum(num_correct) AS sum_k,
        sum(num_correct ** 2) AS sum_k2,
        any_value(num_predictions) AS predictions,
        -- mCE is defined only over all corruptions and severities.
        min(num_corruptions) = 15 AND min(num_severities) = 5 AS is_whole,
        z95() * ordered_stddev(ce, image) / sqrt(count(*)) AS mce_half_width,
        CASE WHEN is_whole AND count(relative_ce) = count(*)
            THEN ordered_mean(relative_ce, image) END AS relative_mce,
        z95() * ordered_stddev(relative_ce, image) / sqrt(count(*)) AS relative_half_width
    FROM images
    GROUP BY model
)
SELECT
    m.model,
    m.architecture_label,
    m.pretraining_label,
    m.num_parameters,
    m.is_reference,
    s.num_images,
    s.num_corruptions,
    s.num_severities,
    s.clean_error,
    s.sum_k / (s.num_images * s.predictions) AS mean_accuracy,
    accuracy_low(s.sum_k, s.sum_k2, s.num_images, s.predictions) AS mean_accuracy_low,
    accuracy_high(s.sum_k, s.sum_k2, s.num_images, s.predictions) AS mean_accuracy_high,
    e.mce,
    e.mce - s.mce_half_width AS mce_low,
    e.mce + s.mce_half_width AS mce_high,
    s.relative_mce,
    s.relative_mce - s.relative_half_width AS relative_mce_low,
    s.relative_mce + s.relative_half_width AS relative_mce_high
FROM summary AS s
JOIN labelled_models AS m USING (model)
LEFT JOIN mean_corruption_errors AS e USING (model)
ORDER BY m.is_reference, m.pretraining_rank, m.family, m.num_parameters, m.model;
