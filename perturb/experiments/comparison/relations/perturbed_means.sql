-- NEEDS measure_values
-- ADDS TO measure_values
-- The mean accuracy of a model over the declared test sets of perturbed images, all with one weight.
-- Datasets without a role may be unchanged images: they do not count. Its parts are the test sets of
-- the most models; of one part there is no mean.
CREATE TEMP TABLE mean_parts AS
WITH parts AS (
    SELECT measure, test_set, position, list(model ORDER BY model) AS models
    FROM measure_values
    JOIN measure_sets USING (measure)
    JOIN study_measures USING (measure)
    WHERE test_set <> 'clean' AND NOT starts_with(measure, 'dataset:')
    GROUP BY measure, test_set, position
)
SELECT measure, test_set, count(*) OVER () AS num_parts
FROM parts
QUALIFY models = first_value(models) OVER (ORDER BY len(models) DESC, position);

-- What an image adds to the mean, by the delta method: mean + N sum_p (y_p - mean_p) / (k n_p), over
-- those of the k parts that it is in, with n_p images each, of N in all. So parts that share images
-- vary together, and the variances of those of other images add up. Stored corruptions have the
-- numbers of their clean images.
CREATE TEMP TABLE perturbed_images AS
WITH outcomes AS (
    SELECT
        o.model,
        measure,
        num_parts,
        CASE WHEN role IN ('clean', 'corrupted') THEN '' ELSE datasets.dataset END AS source,
        o.image,
        num_correct / num_predictions AS y
    FROM image_outcomes AS o
    JOIN mean_parts USING (test_set)
    JOIN datasets ON datasets.dataset = o.dataset
    SEMI JOIN benchmark_models AS m ON m.model = o.model
    WHERE num_parts > 1
),
images AS (
    SELECT *, row_number() OVER (ORDER BY source, image) AS number, count(*) OVER () AS num_images
    FROM (SELECT DISTINCT source, image FROM outcomes)
),
sizes AS (SELECT model, measure, count(*) AS n FROM outcomes GROUP BY model, measure)
SELECT
    o.model,
    images.source,
    images.number AS image,
    any_value(images.num_images) AS num_images,
    ordered_sum(images.num_images * (y - v.value) / (num_parts * n), o.measure) AS influence
FROM outcomes AS o
JOIN images USING (source, image)
JOIN sizes USING (model, measure)
JOIN measure_values AS v ON v.measure = o.measure AND v.model = o.model::VARCHAR
GROUP BY o.model, images.source, images.number;

-- No image takes the mean further than all parts of its dataset together.
CREATE TEMP TABLE perturbed_values AS
WITH values AS (
    SELECT v.model, ordered_mean(v.value, v.measure) AS value
    FROM measure_values AS v
    JOIN mean_parts USING (measure)
    GROUP BY v.model
),
sources AS (
    SELECT DISTINCT
        o.model::VARCHAR AS model,
        measure,
        num_parts,
        CASE WHEN role IN ('clean', 'corrupted') THEN '' ELSE datasets.dataset END AS source
    FROM image_outcomes AS o
    JOIN mean_parts USING (test_set)
    JOIN datasets ON datasets.dataset = o.dataset
),
reaches AS (
    SELECT
        model,
        source,
        ordered_sum(v.value / (num_parts * v.num_images), measure) AS down,
        ordered_sum((1 - v.value) / (num_parts * v.num_images), measure) AS up
    FROM sources
    JOIN measure_values AS v USING (model, measure)
    GROUP BY model, source
),
furthest AS (
    SELECT model, max(down) AS down, max(up) AS up
    FROM reaches
    GROUP BY model
)
SELECT
    i.model::VARCHAR AS model,
    any_value(values.value) AS value,
    any_value(num_images) AS num_images,
    any_value(down * num_images) AS down,
    any_value(up * num_images) AS up,
    line_half_width(influence, image, any_value(greatest(down, up) * num_images)) AS half_width
FROM perturbed_images AS i
JOIN values ON values.model = i.model::VARCHAR
JOIN furthest ON furthest.model = i.model::VARCHAR
GROUP BY i.model;

INSERT INTO measure_values
SELECT
    'perturbed',
    model,
    value,
    at_least(0.0, value - half_width),
    at_most(1.0, value + half_width),
    num_images,
    NULL
FROM perturbed_values;

INSERT INTO paired_measures
SELECT measure, measure_label, position, 0, true, 'perturbed_outcomes'
FROM study_measures
WHERE measure = 'perturbed' AND (SELECT count(*) FROM perturbed_values) > 0;

CREATE TEMP VIEW perturbed_outcomes AS
SELECT
    'perturbed' AS measure,
    i.model,
    i.image,
    value + influence AS value,
    1 AS num_predictions
FROM perturbed_images AS i
JOIN perturbed_values AS v ON v.model = i.model::VARCHAR;

INSERT INTO measure_ranges
SELECT 'perturbed', model, value - down, value + up
FROM perturbed_values;
