-- Top-1 accuracy on datasets with fewer classes than the models know, under two conventions: the
-- best of all classes, and the best of the dataset's own classes; both also for the clean images of
-- these classes.
WITH summary AS (
    SELECT
        subset,
        model,
        count(*) FILTER (NOT is_clean) AS n,
        sum(all_correct) FILTER (NOT is_clean) AS of_all,
        sum(subset_correct) FILTER (NOT is_clean) AS of_subset,
        count(*) FILTER (is_clean) AS n_clean,
        sum(all_correct) FILTER (is_clean) AS clean_of_all,
        sum(subset_correct) FILTER (is_clean) AS clean_of_subset
    FROM subset_outcomes
    GROUP BY subset, model
),
sizes AS (
    SELECT subset, count(*) AS num_subset_classes
    FROM subset_classes
    GROUP BY subset
)
SELECT
    m.*,
    s.subset AS dataset,
    datasets.label AS dataset_label,
    sizes.num_subset_classes,
    (SELECT max(num_classes) FROM datasets WHERE role = 'clean') AS num_all_classes,
    s.n AS num_images,
    s.of_all / s.n AS top1_all_classes,
    wilson_low(s.of_all, s.n) AS top1_all_classes_low,
    wilson_high(s.of_all, s.n) AS top1_all_classes_high,
    s.of_subset / s.n AS top1_subset,
    wilson_low(s.of_subset, s.n) AS top1_subset_low,
    wilson_high(s.of_subset, s.n) AS top1_subset_high,
    s.n_clean AS num_clean_images,
    s.clean_of_all / nullif(s.n_clean, 0) AS clean_top1_all_classes,
    CASE WHEN s.n_clean > 0 THEN wilson_low(s.clean_of_all, s.n_clean) END
        AS clean_top1_all_classes_low,
    CASE WHEN s.n_clean > 0 THEN wilson_high(s.clean_of_all, s.n_clean) END
        AS clean_top1_all_classes_high,
    s.clean_of_subset / nullif(s.n_clean, 0) AS clean_top1_subset,
    CASE WHEN s.n_clean > 0 THEN wilson_low(s.clean_of_subset, s.n_clean) END
        AS clean_top1_subset_low,
    CASE WHEN s.n_clean > 0 THEN wilson_high(s.clean_of_subset, s.n_clean) END
        AS clean_top1_subset_high
FROM summary AS s
JOIN sizes USING (subset)
JOIN datasets ON datasets.dataset = s.subset
JOIN model_columns AS m USING (model)
ORDER BY s.subset, m.pretraining_rank, m.family, m.num_parameters, m.model;
