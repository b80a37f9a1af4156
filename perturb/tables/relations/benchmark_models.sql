-- The models, and those under test: the reference network is no part of the benchmark. Those of the
-- two families that the paper compares are all that claims, slopes and means over families are
-- about; others stand beside them in tables and charts. Where two models have one label and one
-- pre-training set, their ids keep them apart in tables and charts.
CREATE TEMP VIEW labelled_models AS
SELECT
    * REPLACE (coalesce(entry, model) AS entry, coalesce(run, 1) AS run),
    CASE WHEN count(*) OVER (PARTITION BY label, pretraining, is_reference) > 1
        THEN label || ' (' || model || ')'
        ELSE label
    END AS architecture_label
FROM models;

CREATE TEMP VIEW benchmark_models AS
FROM labelled_models
WHERE NOT is_reference;

CREATE TEMP VIEW compared_models AS
FROM benchmark_models
WHERE family IN ('vit', 'resnet');

-- The columns that the tables have of a model, in their order.
CREATE TEMP VIEW model_columns AS
SELECT
    model,
    architecture_label,
    family,
    size,
    patch_size,
    num_parameters,
    pretraining,
    pretraining_label,
    pretraining_rank
FROM benchmark_models;
