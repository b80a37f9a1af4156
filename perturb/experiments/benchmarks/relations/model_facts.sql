-- NEEDS benchmark_models, measure_values
-- ADDS TO measure_values
INSERT INTO measure_values
SELECT 'parameters', model, num_parameters, NULL, NULL, NULL, NULL
FROM benchmark_models
UNION ALL
SELECT
    'flops',
    model,
    forward_flops,
    NULL,
    NULL,
    NULL,
    CASE WHEN forward_flops IS NULL THEN 'the FLOPs of this network are not known' END
FROM benchmark_models;
