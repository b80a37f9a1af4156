-- Figure 3's spatial attack, and two cheaper measures: the worst of ten random points of the grid,
-- and the mean over random points. An image is correct in the worst case if it is correct in all
-- cases.
WITH images AS (
    SELECT
        s.model,
        s.image,
        any_value(clean.num_correct) AS clean_correct,
        min(s.num_correct) FILTER (s.is_worst) AS grid_correct,
        count(*) FILTER (NOT s.is_worst) AS num_samples,
        -- Samples are in random order, so the first ten are a random sample.
        CASE WHEN num_samples >= 10
            THEN min(s.num_correct) FILTER (s.sample BETWEEN 1 AND 10) END AS ten_correct,
        coalesce(sum(s.num_correct) FILTER (NOT s.is_worst), 0) AS num_correct
    FROM spatial_predictions AS s
    JOIN image_outcomes AS clean
        ON clean.test_set = 'clean' AND clean.model = s.model AND clean.image = s.image
    GROUP BY s.model, s.image
),
summary AS (
    SELECT
        model,
        count(*) AS n,
        max(num_samples) AS num_samples,
        sum(clean_correct) AS clean,
        sum(grid_correct) AS grid,
        sum(ten_correct) AS ten,
        sum(num_correct) AS sum_k,
        sum(num_correct ** 2) AS sum_k2
    FROM images
    GROUP BY model
)
SELECT
    m.*,
    s.n AS num_images,
    s.num_samples,
    s.clean / s.n AS clean_accuracy,
    wilson_low(s.clean, s.n) AS clean_accuracy_low,
    wilson_high(s.clean, s.n) AS clean_accuracy_high,
    s.grid / s.n AS worst_of_grid,
    wilson_low(s.grid, s.n) AS worst_of_grid_low,
    wilson_high(s.grid, s.n) AS worst_of_grid_high,
    s.ten / s.n AS worst_of_10,
    wilson_low(s.ten, s.n) AS worst_of_10_low,
    wilson_high(s.ten, s.n) AS worst_of_10_high,
    s.sum_k / nullif(s.n * s.num_samples, 0) AS grid_mean,
    CASE WHEN s.num_samples > 0 THEN accuracy_low(s.sum_k, s.sum_k2, s.n, s.num_samples) END
        AS grid_mean_low,
    CASE WHEN s.num_samples > 0 THEN accuracy_high(s.sum_k, s.sum_k2, s.n, s.num_samples) END
        AS grid_mean_high
FROM summary AS s
JOIN model_columns AS m USING (model)
ORDER BY m.pretraining_rank, m.family, m.num_parameters, m.model;
