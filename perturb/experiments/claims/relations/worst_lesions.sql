-- NEEDS model_outcomes
-- The largest loss of any ViT without any one block except the first. The maximum of many drops is
-- below the upper end of the interval of the true worst drop, and so below the highest of all upper
-- ends. It is above all lower ends, of which the highest is chosen: each must then hold at its
-- fraction of the 2.5 % (Bonferroni). The p-value is that of the interval that ends at the threshold.
CREATE TEMP VIEW worst_lesions AS
WITH drops AS (
    SELECT
        entry,
        num_images,
        (clean - k) / num_images AS drop,
        contrast_centre(clean - k, num_images) AS centre,
        -- Losses of one prediction are -1, 0 or 1.
        sqrt(contrast_variance(clean - k, d2, d2, num_images, 1)) AS error,
        count(*) OVER () AS num_drops,
        threshold,
        student_tail((centre - threshold) / error, 'Infinity'::DOUBLE) AS tail
    FROM model_samples
    JOIN benchmark_models AS m USING (model)
    JOIN claim_rules ON claim_rules.kind = 'worst_lesion'
    WHERE perturbation = 'lesions'
        AND condition = 'block'
        AND severity = 1
        AND sample <> 0
        AND m.family = 'vit'
)
SELECT
    'lesions' AS test_set,
    'worst_lesion' AS kind,
    'vit' AS name,
    count(DISTINCT entry) AS num_models,
    max(num_images) AS num_images,
    max(drop) AS estimate,
    max(centre - student_quantile(1 - 0.025 / num_drops, 'Infinity'::DOUBLE) * error) AS low,
    max(centre + z95() * error) AS high,
    least(
        1.0,
        max(CASE WHEN centre < threshold THEN tail ELSE 1.0 END),
        min(CASE WHEN centre > threshold THEN num_drops * tail ELSE 1.0 END)
    ) AS p_value
FROM drops
HAVING count(*) > 0;
