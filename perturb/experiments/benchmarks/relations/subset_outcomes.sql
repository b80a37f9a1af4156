-- NEEDS benchmark_models, cells
-- Decisions among the classes of one data set alone (the condition), on that set and on the clean
-- images of its classes, beside the decisions among all classes on the same images.
CREATE TEMP TABLE subset_classes AS
SELECT dataset::VARCHAR AS subset, target
FROM decisions
WHERE perturbation = 'class_subset' AND dataset = condition
GROUP BY ALL;

CREATE TEMP TABLE subset_outcomes AS
SELECT
    decisions.condition::VARCHAR AS subset,
    decisions.dataset <> decisions.condition AS is_clean,
    m.model,
    decisions.image_id,
    decisions.is_correct::BIGINT AS subset_correct,
    whole.is_correct::BIGINT AS all_correct
FROM decisions
JOIN benchmark_models AS m ON m.model = decisions.model
JOIN datasets ON datasets.dataset = decisions.dataset
JOIN subset_classes
    ON subset_classes.subset = decisions.condition AND subset_classes.target = decisions.target
LEFT JOIN decisions AS whole
    ON whole.perturbation = 'none'
    AND whole.model = decisions.model
    AND whole.dataset = decisions.dataset
    AND whole.image_id = decisions.image_id
WHERE decisions.perturbation = 'class_subset'
    AND (decisions.dataset = decisions.condition OR datasets.role = 'clean');
