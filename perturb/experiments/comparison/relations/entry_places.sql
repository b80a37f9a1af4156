-- NEEDS benchmark_models, ids
-- The entries of the study in the order of the tables, each with its runs. A pair of entries has the
-- ids of their first runs.
CREATE TEMP TABLE entry_places AS
WITH ranked AS (
    SELECT
        model::model_id AS model,
        entry,
        run,
        first_value(model) OVER of_entry AS first_model,
        first_value(architecture_label) OVER of_entry AS label,
        dense_rank() OVER (
            ORDER BY pretraining_rank, family, num_parameters, entry) - 1 AS place
    FROM benchmark_models
    WINDOW of_entry AS (PARTITION BY entry ORDER BY run, model)
)
FROM ranked
ORDER BY place, run, model;
