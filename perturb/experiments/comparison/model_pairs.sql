-- The difference of every two models by every measure, and under every corruption.
WITH named AS (
    SELECT measure, measure_label, position, 0 AS place FROM study_measures
    UNION
    SELECT measure, measure_label, position, place FROM paired_measures
),
labelled AS (
    SELECT
        * EXCLUDE (measure_label),
        CASE WHEN count(*) OVER (PARTITION BY measure_label) > 1
            THEN measure_label || ' (' || measure || ')' ELSE measure_label END AS measure_label
    FROM named
),
entries AS (
    SELECT DISTINCT
        entry_places.place,
        first_model,
        name_with_set(m.entry_label, m.pretraining_label) AS label
    FROM entry_places
    JOIN benchmark_models AS m ON m.model = first_model
)
SELECT
    a.first_model AS model_a,
    b.first_model AS model_b,
    a.label AS label_a,
    b.label AS label_b,
    labelled.measure,
    labelled.measure_label,
    p.estimate AS difference,
    p.low AS difference_low,
    p.high AS difference_high,
    p.num_images::BIGINT AS num_images,
    p.is_paired
FROM pair_intervals AS p
JOIN labelled USING (measure)
JOIN entries AS a ON a.place = p.place_a
JOIN entries AS b ON b.place = p.place_b
WHERE NOT p.is_bound
ORDER BY p.place_a, p.place_b, labelled.position, labelled.place, labelled.measure;
