-- NEEDS benchmark_models, measure_values
-- ADDS TO measure_values
-- Unperturbed images a second, as measured in this study: it differs between runs and machines.
INSERT INTO measure_values
SELECT
    'images_per_second',
    model,
    sum(num_rows) / nullif(ordered_sum(seconds, path), 0),
    NULL,
    NULL,
    sum(num_rows),
    NULL
FROM inventory
SEMI JOIN benchmark_models USING (model)
WHERE perturbation = 'none'
GROUP BY model;
