-- NEEDS benchmark_models, corruptions, corruption_errors, reference_outcomes, image_outcomes
-- Mean accuracy, mCE and relative mCE over the benchmark's corruptions (Hendrycks and Dietterich,
-- ICLR 2019): CE = sum_s error(c, s) / sum_s reference(c, s);  mCE = mean over c relative
-- CE = sum_s (error(c, s) - clean error) / sum_s (reference(c, s) - reference clean). A relative CE
-- whose denominator is not positive is not defined, nor is the mean. Denominators are differences of
-- floating-point sums, in which zero may become 1e-16, while one prediction on 50,000 images is 2e-5:
-- values below 1e-9 count as zero.
--
-- For published denominators, all three are means of one number per image, which gives their
-- intervals. A reference that the study evaluates sees the same images: then an image counts by
-- (wrong - CE * reference wrong) / denominator, the mean over c. Its own values are 1 by definition.
-- A relative denominator may be near 0: there every corruption's part of the interval reaches as far
-- as Fieller's, and there is none where a denominator is within 1.96 standard errors of 0.
CREATE TEMP VIEW corruption_wrongs AS
WITH clean AS (
    SELECT model, image, num_predictions - num_correct AS clean_wrong
    FROM image_outcomes
    WHERE test_set = 'clean'
)
SELECT
    o.model,
    o.image,
    o.position,
    o.num_severities,
    o.num_wrong,
    clean_wrong,
    num_wrong - num_severities * clean_wrong AS num_added,
    error_sum,
    relative_error_sum,
    coalesce(reference_wrong, 0) AS reference_wrong,
    coalesce(reference_wrong - num_severities * reference_clean_wrong, 0) AS reference_added
FROM corruption_outcomes AS o
JOIN clean USING (model, image)
JOIN datasets USING (dataset)
JOIN corruptions USING (position)
JOIN reference_sums USING (position)
LEFT JOIN reference_outcomes USING (position, image)
WHERE is_benchmark AND datasets.role IN ('clean', 'corrupted');

CREATE TEMP TABLE corruption_ratios AS
SELECT
    model,
    position,
    sum(num_wrong) / count(*) / any_value(error_sum) AS ce,
    sum(num_added) / count(*) / any_value(relative_error_sum) AS relative_ce,
    max(num_severities) / any_value(error_sum) AS furthest,
    furthest * greatest(1, ce) AS reach,
    -- Published errors are constants.
    CASE WHEN (SELECT count(*) FROM reference_outcomes) > 0 THEN -furthest * ce ELSE 0 END
        AS lowest,
    max(num_severities) / any_value(relative_error_sum) * (1 + abs(relative_ce))
        AS relative_reach,
    any_value(relative_error_sum) AS relative_error_sum,
    -- Of the means; the sums are of whole numbers.
    nullif(count(*) - 1, 0) * count(*) AS pairs,
    (sum(num_added ** 2) - sum(num_added) ** 2 / count(*)) / pairs AS variance_above,
    (sum(reference_added ** 2) - sum(reference_added) ** 2 / count(*)) / pairs
        AS variance_below,
    (sum(num_added * reference_added) - sum(num_added) * sum(reference_added) / count(*))
    / pairs AS covariance
FROM corruption_wrongs
GROUP BY model, position;

CREATE TEMP VIEW corruption_reaches AS
SELECT
    model,
    ordered_mean(reach, position) AS reach,
    ordered_mean(relative_reach, position) AS relative_reach,
    -- Between which ends an image's part of mCE lies.
    ordered_mean(lowest, position) AS lowest,
    ordered_mean(furthest, position) AS highest
FROM corruption_ratios
GROUP BY model;

CREATE TEMP TABLE corruption_score_images AS
WITH stretches AS (
    SELECT
        *,
        fieller_stretch(
            -1, relative_ce, relative_error_sum, variance_above, covariance, variance_below)
            AS down,
        fieller_stretch(
            1, relative_ce, relative_error_sum, variance_above, covariance, variance_below) AS up
    FROM corruption_ratios
)
SELECT
    model,
    image,
    count(*) AS num_corruptions,
    max(num_severities)::BIGINT AS num_severities,
    sum(num_severities) AS num_predictions,
    sum(num_severities - num_wrong) AS num_correct,
    any_value(clean_wrong) AS clean_wrong,
    ordered_mean((num_wrong - ce * reference_wrong) / error_sum, position) AS ce_influence,
    CASE WHEN min(o.relative_error_sum) > 1e-9 THEN
        ordered_mean(num_added / o.relative_error_sum, position)
    END AS relative_ce,
    CASE WHEN min(o.relative_error_sum) > 1e-9 AND count(up) = count(*) THEN ordered_mean(
        down * (num_added - s.relative_ce * reference_added) / o.relative_error_sum, position)
    END AS influence_down,
    CASE WHEN min(o.relative_error_sum) > 1e-9 AND count(up) = count(*) THEN ordered_mean(
        up * (num_added - s.relative_ce * reference_added) / o.relative_error_sum, position)
    END AS influence_up
FROM corruption_wrongs AS o
JOIN stretches AS s USING (model, position)
GROUP BY model, image;

CREATE TEMP TABLE corruption_scores AS
WITH summary AS (
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
        line_half_width(ce_influence, image, any_value(reach)) AS mce_half_width,
        CASE WHEN is_whole AND count(relative_ce) = count(*)
            THEN ordered_mean(relative_ce, image) END AS relative_mce,
        CASE WHEN count(influence_down) = count(*) THEN
            line_half_width(influence_down, image, any_value(relative_reach)) END AS relative_down,
        CASE WHEN count(influence_up) = count(*) THEN
            line_half_width(influence_up, image, any_value(relative_reach)) END AS relative_up
    FROM corruption_score_images
    JOIN corruption_reaches USING (model)
    GROUP BY model
)
SELECT
    s.model::VARCHAR AS model,
    s.num_images,
    s.num_corruptions,
    s.num_severities,
    s.clean_error,
    s.sum_k / (s.num_images * s.predictions) AS mean_accuracy,
    accuracy_low(s.sum_k, s.sum_k2, s.num_images, s.predictions) AS mean_accuracy_low,
    accuracy_high(s.sum_k, s.sum_k2, s.num_images, s.predictions) AS mean_accuracy_high,
    e.mce,
    CASE WHEN NOT m.is_reference THEN at_least(0, e.mce - s.mce_half_width) END AS mce_low,
    CASE WHEN NOT m.is_reference THEN e.mce + s.mce_half_width END AS mce_high,
    s.relative_mce,
    CASE WHEN NOT m.is_reference THEN s.relative_mce - s.relative_down END
        AS relative_mce_low,
    CASE WHEN NOT m.is_reference THEN s.relative_mce + s.relative_up END
        AS relative_mce_high
FROM summary AS s
JOIN labelled_models AS m USING (model)
LEFT JOIN mean_corruption_errors AS e USING (model);
