-- NEEDS model_outcomes, ids
-- Accuracy of every model under every condition at every severity, over all samples together. Of
-- changed models it is that of `model_accuracies`, which covers random draws and leaves out sets with
-- the first block. Classes of a subset are another question than these: images of other classes have
-- no prediction.
CREATE TEMP TABLE condition_counts AS
SELECT
    model::VARCHAR AS model,
    dataset::VARCHAR AS dataset,
    perturbation::VARCHAR AS perturbation,
    condition::VARCHAR AS condition,
    severity,
    max(sample) > min(sample) AS has_samples,
    count(*) AS n,
    count(*) FILTER (is_correct) AS k
FROM predictions
WHERE perturbation <> 'class_subset'
GROUP BY ALL;

-- Predictions on one image are one observation. Of most changed models, `model_outcomes` has them.
CREATE TEMP TABLE sampled_counts AS
WITH sampled AS (
    SELECT DISTINCT perturbation, condition
    FROM condition_counts
    WHERE has_samples
        AND perturbation NOT IN (SELECT DISTINCT perturbation::VARCHAR FROM model_outcomes)
),
images AS (
    SELECT
        model::VARCHAR AS model,
        dataset::VARCHAR AS dataset,
        p.perturbation::VARCHAR AS perturbation,
        p.condition::VARCHAR AS condition,
        severity,
        image,
        count(*) AS n,
        count(*) FILTER (is_correct) AS k
    FROM short_predictions AS p
    SEMI JOIN sampled ON sampled.perturbation = p.perturbation AND sampled.condition = p.condition
    GROUP BY ALL
)
SELECT
    model,
    dataset,
    perturbation,
    condition,
    severity,
    count(*) AS num_images,
    sum(k ** 2) AS kk,
    sum(k * n) AS kn,
    sum(n ** 2) AS nn
FROM images
GROUP BY ALL;

-- The same images unchanged: all models, conditions and severities of a perturbation have the same
-- ones, so that those of one cell are those of all.
CREATE TEMP TABLE unchanged_counts AS
WITH places AS (
    SELECT dataset, perturbation, min((model, condition, severity)) AS of
    FROM condition_counts
    GROUP BY dataset, perturbation
),
cells_asked AS (
    SELECT
        dataset,
        perturbation,
        struct_extract(of, 1) AS model,
        struct_extract(of, 2) AS condition,
        struct_extract(of, 3) AS severity
    FROM places
),
images AS (
    SELECT DISTINCT
        c.dataset,
        c.perturbation,
        -- Stored images are copies of the clean ones.
        CASE WHEN s.stored_id IS NOT NULL THEN clean.dataset ELSE c.dataset END AS of_dataset,
        coalesce(s.image, p.image) AS image
    FROM short_predictions AS p
    JOIN cells_asked AS c
        ON c.dataset = p.dataset AND c.perturbation = p.perturbation AND c.model = p.model
        AND c.condition = p.condition AND c.severity = p.severity
    LEFT JOIN stored_images AS s
        ON p.perturbation = 'stored_corruptions' AND s.stored_id = p.image_id
    LEFT JOIN datasets AS clean ON clean.role = 'clean'
    JOIN datasets AS own ON own.dataset = c.dataset
    -- An unchanged image that is not a clean one has no other to be compared with.
    WHERE c.perturbation <> 'none' OR own.role = 'clean'
)
SELECT
    p.model::VARCHAR AS model,
    images.dataset,
    images.perturbation,
    count(*) AS n,
    count(*) FILTER (p.is_correct) AS k
FROM images
JOIN short_predictions AS p
    ON p.perturbation = 'none' AND p.dataset = images.of_dataset AND p.image = images.image
GROUP BY ALL;

CREATE TEMP VIEW condition_accuracies AS
WITH counted AS (
    SELECT
        c.*,
        a.accuracy,
        a.accuracy_low,
        a.accuracy_high,
        coalesce(a.num_images, s.num_images, c.n) AS num_images,
        coalesce(s.kk, c.k) AS kk,
        coalesce(s.kn, c.k) AS kn,
        coalesce(s.nn, c.n) AS nn
    FROM condition_counts AS c
    LEFT JOIN sampled_counts AS s USING (model, dataset, perturbation, condition, severity)
    LEFT JOIN model_accuracies AS a USING (model, perturbation, condition, severity)
)
SELECT
    c.model,
    c.dataset,
    c.perturbation,
    c.condition,
    c.severity,
    c.num_images,
    coalesce(c.accuracy, c.k / c.n) AS accuracy,
    coalesce(c.accuracy_low, ratio_low(c.k, c.n, c.kk, c.kn, c.nn, c.num_images)) AS accuracy_low,
    coalesce(c.accuracy_high, ratio_high(c.k, c.n, c.kk, c.kn, c.nn, c.num_images))
        AS accuracy_high,
    CASE WHEN u.n = c.num_images THEN u.k / u.n END AS clean_accuracy
FROM counted AS c
LEFT JOIN unchanged_counts AS u USING (model, dataset, perturbation);
