-- NEEDS benchmark_models, ids
-- The entries of the study in the order of the tables, each with its runs. A pair of entries has the
-- ids of their first runs.
CREATE TEMP TABLE entry_places AS
WITH firsts AS (
    FROM benchmark_models
    QUALIFY row_number() OVER (PARTITION BY entry ORDER BY run, model) = 1
),
entries AS (
    SELECT
        entry,
        model AS first_model,
        row_number() OVER (ORDER BY pretraining_rank, family, num_parameters, entry) - 1 AS place
    FROM firsts
)
SELECT model::model_id AS model, entry, run, first_model, place
FROM benchmark_models
JOIN entries USING (entry)
ORDER BY place, run, model;
