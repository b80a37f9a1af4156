-- Figure 3: accuracy of every model under every attack at the headline epsilon, and on the same
-- images before the attack. Where attacks differ in their number of images, the row of clean images
-- covers all of them, and clean_accuracy covers those of the row's attack alone.
WITH attacked AS (
    SELECT test_set, model, image, num_correct
    FROM image_outcomes
    WHERE test_set = 'spatial' OR test_set IN (SELECT attack FROM attack_stages)
),
clean AS (
    SELECT test_set, model, image, num_correct
    FROM image_outcomes
    WHERE test_set = 'clean' AND image IN (SELECT image FROM attacked)
),
outcomes AS (
    SELECT o.*, clean.num_correct AS clean_correct
    FROM (
        FROM attacked
        UNION ALL
        FROM clean
    ) AS o
    JOIN clean ON clean.model = o.model AND clean.image = o.image
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    m.*,
    CASE WHEN test_sets.test_set NOT IN ('clean', 'spatial')
        THEN getvariable('headline_epsilon') END::DOUBLE AS epsilon,
    epsilon_gray(epsilon) AS epsilon_gray,
    count(*) AS num_images,
    sum(o.num_correct) / count(*) AS accuracy,
    wilson_low(sum(o.num_correct), count(*)) AS accuracy_low,
    wilson_high(sum(o.num_correct), count(*)) AS accuracy_high,
    sum(o.clean_correct) / count(*) AS clean_accuracy,
    wilson_low(sum(o.clean_correct), count(*)) AS clean_accuracy_low,
    wilson_high(sum(o.clean_correct), count(*)) AS clean_accuracy_high
FROM outcomes AS o
JOIN test_sets USING (test_set)
JOIN model_columns AS m USING (model)
GROUP BY ALL
ORDER BY min(test_sets.position), m.pretraining_rank, m.family, m.num_parameters, m.model;
