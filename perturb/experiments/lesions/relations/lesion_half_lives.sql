-- NEEDS model_outcomes, measure_values
-- ADDS TO measure_values
-- The fraction of its blocks whose removal halves the accuracy of a model: where the accuracy
-- without so many blocks minus half of the unchanged one, image by image, is 0, on a straight line
-- between two numbers of blocks. The ends of the interval are where the ends of that difference's
-- interval are 0; if its upper end never is, all blocks. Where the accuracy is never halved, the lower
-- end is at most the largest fraction that was removed.
CREATE TEMP VIEW lesion_margins AS
WITH images AS (
    SELECT
        model::VARCHAR AS model,
        severity,
        image,
        num_predictions,
        num_correct / num_predictions - clean_correct / 2 AS d,
        clean_correct
    FROM model_outcomes
    WHERE perturbation = 'lesions' AND condition = 'block'
),
sums AS (
    SELECT
        model,
        severity,
        count(*) AS n,
        max(num_predictions) AS draws,
        sum(clean_correct) AS clean,
        ordered_sum(d, image) AS d1,
        ordered_sum(d ** 2, image) AS d2,
        ordered_sum(d ** 4, image) AS d4
    FROM images
    GROUP BY model, severity
),
spreads AS (
    SELECT
        model::VARCHAR AS model,
        severity,
        CASE WHEN draws_variance > 0 THEN draws_variance ELSE 0 END AS draws_variance
    FROM sample_spreads
    WHERE perturbation = 'lesions' AND condition = 'block'
),
errors AS (
    SELECT
        sums.*,
        contrast_centre(d1, n) AS centre,
        coalesce(draws_variance, 0) AS between_draws,
        contrast_variance(d1, d2, d4, n, 1) + between_draws AS variance,
        total_freedom(variance, between_draws, freedom_part(between_draws, draws - 1)) AS freedom
    FROM sums
    LEFT JOIN spreads USING (model, severity)
)
SELECT
    model,
    severity / num_blocks AS share,
    severity,
    num_blocks,
    n AS num_images,
    clean,
    d1 / n AS margin,
    least(margin, interval_low(centre, variance, freedom)) AS margin_low,
    greatest(margin, interval_high(centre, variance, freedom)) AS margin_high
FROM errors
JOIN benchmark_models USING (model);

INSERT INTO measure_values
WITH curves AS (
    SELECT model, share, 'value' AS curve, margin AS y FROM lesion_margins
    UNION ALL
    SELECT model, share, 'low', margin_low FROM lesion_margins
    UNION ALL
    SELECT model, share, 'high', margin_high FROM lesion_margins
),
steps AS (
    SELECT
        *,
        lag(share) OVER by_share AS share_before,
        lag(y) OVER by_share AS y_before
    FROM curves
    WINDOW by_share AS (PARTITION BY model, curve ORDER BY share)
),
crossings AS (
    SELECT
        model,
        curve,
        min_by(
            coalesce(share_before + (share - share_before) * y_before / (y_before - y), share),
            share) AS share
    FROM steps
    WHERE y <= 0
    GROUP BY model, curve
),
models_removed AS (
    SELECT
        model,
        max(num_images) AS num_images,
        max(clean) AS clean,
        max(severity)::INTEGER AS most_removed,
        max(num_blocks) AS num_blocks,
        max(share) AS most_share
    FROM lesion_margins
    GROUP BY model
)
SELECT
    'lesion_half_life',
    m.model,
    CASE WHEN clean > 0 THEN v.share END AS half_life,
    CASE WHEN clean > 0 THEN coalesce(low.share, most_share) END,
    CASE WHEN clean > 0 THEN coalesce(high.share, 1) END,
    num_images,
    CASE
        WHEN clean = 0 THEN 'no unchanged image is predicted correctly'
        WHEN v.share IS NULL THEN 'more than half of the accuracy is left without ' || most_removed
            || ' of ' || num_blocks || ' blocks'
    END
FROM models_removed AS m
LEFT JOIN crossings AS v ON v.model = m.model AND v.curve = 'value'
LEFT JOIN crossings AS low ON low.model = m.model AND low.curve = 'low'
LEFT JOIN crossings AS high ON high.model = m.model AND high.curve = 'high';
