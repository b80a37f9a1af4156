-- The models, and those under test: the reference network is no part of the benchmark. Where two
-- models have one label and one pre-training set, their ids keep them apart in tables and charts.
CREATE TEMP VIEW labelled_models AS
SELECT
    *,
    CASE WHEN count(*) OVER (PARTITION BY label, pretraining, is_reference) > 1
        THEN label || ' (' || model || ')'
        ELSE label
    END AS architecture_label
FROM models;

CREATE TEMP VIEW benchmark_models AS
FROM labelled_models
WHERE NOT is_reference;
