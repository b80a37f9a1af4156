-- The models, and those under test: the reference network is no part of the benchmark. Those of the
-- two families that the paper compares are all that claims, slopes and means over families are
-- about; others stand beside them in tables and charts. Where two entries have one label and one
-- pre-training set, their ids keep them apart in tables and charts, and the runs of one entry the
-- number of the run.
CREATE TEMP VIEW labelled_models AS
WITH entries AS (
    SELECT * REPLACE (coalesce(entry, model) AS entry, coalesce(run, 1) AS run)
    FROM models
),
labelled AS (
    SELECT
        *,
        CASE WHEN count(*) FILTER (run = 1) OVER (PARTITION BY label, pretraining, is_reference) > 1
            THEN label || ' (' || entry || ')'
            ELSE label
        END AS entry_label,
        count(*) OVER (PARTITION BY entry) AS num_runs
    FROM entries
)
SELECT
    *,
    CASE WHEN num_runs > 1 THEN entry_label || ', run ' || run ELSE entry_label END
        AS architecture_label
FROM labelled;

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
