-- NEEDS benchmark_models, image_outcomes, test_sets
-- The numbers by which models stand side by side, measure by measure. Here are the accuracies on test
-- sets; relations of experiments add the values of their own measures to `measure_values`.
CREATE TEMP TABLE measure_sets AS
SELECT measure, test_set
FROM measure_choices
WHERE test_set IN (SELECT DISTINCT test_set FROM image_outcomes)
QUALIFY row_number() OVER (PARTITION BY measure ORDER BY place) = 1
UNION ALL
-- Ids of datasets have no colon: no measure has this id.
SELECT 'dataset:' || dataset, dataset
FROM datasets
WHERE role = 'extra' AND dataset IN (SELECT DISTINCT test_set FROM image_outcomes);

CREATE TEMP TABLE study_measures AS
WITH labelled AS (
    SELECT
        measure,
        CASE
            WHEN at_epsilon THEN measure_label || ' (' || test_set_label || ', '
                || printf('%g/255', epsilon_gray(getvariable('headline_epsilon')::DOUBLE)) || ')'
            -- Labels of test sets say how the images were made.
            WHEN measure = test_set THEN coalesce(test_set_label, measure_label)
            ELSE measure_label
        END AS label,
        d.position,
        unit,
        is_better_high
    FROM declared_measures AS d
    LEFT JOIN measure_sets USING (measure)
    LEFT JOIN test_sets USING (test_set)
    UNION ALL
    SELECT measure, test_set_label, 6, 'fraction', true
    FROM measure_sets
    JOIN test_sets USING (test_set)
    WHERE starts_with(measure, 'dataset:')
)
SELECT
    * EXCLUDE (label),
    -- Tables have a column a label.
    CASE WHEN count(*) OVER (PARTITION BY label) > 1 THEN label || ' (' || measure || ')'
        ELSE label END AS measure_label
FROM labelled;

-- `reason`: why there is no value.
CREATE TEMP TABLE measure_values AS
SELECT
    measure,
    o.model::VARCHAR AS model,
    sum(num_correct) / sum(num_predictions) AS value,
    accuracy_low(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions)) AS low,
    accuracy_high(sum(num_correct), sum(num_correct ** 2), count(*), max(num_predictions)) AS high,
    count(*) AS num_images,
    NULL::VARCHAR AS reason
FROM image_outcomes AS o
JOIN measure_sets USING (test_set)
SEMI JOIN benchmark_models AS m ON m.model = o.model
GROUP BY measure, o.model;

-- Measures whose differences come from the same images, and the relation that has what the models
-- did on an image: measure, model, image, value, num_predictions. `value` counts correct
-- predictions, or is what the image adds to a measure that is no accuracy; of these,
-- `measure_ranges` says between which ends. Some are no measure of the leaderboard.
CREATE TEMP TABLE paired_measures AS
SELECT measure, measure_label, position, 0 AS place, false AS is_line, 'measure_outcomes' AS relation
FROM measure_sets
JOIN study_measures USING (measure);

CREATE TEMP VIEW measure_outcomes AS
SELECT measure, model, image, num_correct::DOUBLE AS value, num_predictions
FROM image_outcomes
JOIN measure_sets USING (test_set);

CREATE TEMP TABLE measure_ranges (
    measure VARCHAR, model VARCHAR, lowest DOUBLE, highest DOUBLE);
