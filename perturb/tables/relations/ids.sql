-- NEEDS cells, test_sets
-- Short forms of what stands in every row of the large relations: names are types of one or two
-- bytes, images are numbers. The order of both is that of the texts.
CREATE TYPE model_id AS ENUM (SELECT model FROM models ORDER BY model);

CREATE TYPE dataset_id AS ENUM (SELECT dataset FROM datasets ORDER BY dataset);

CREATE TYPE perturbation_id AS ENUM (SELECT perturbation FROM perturbations ORDER BY perturbation);

CREATE TYPE condition_id AS ENUM (SELECT DISTINCT condition FROM cells ORDER BY condition);

CREATE TYPE test_set_id AS ENUM (
    SELECT test_set FROM test_sets
    UNION
    SELECT unnest([dataset, role]) FROM datasets
    ORDER BY 1);

CREATE TEMP TABLE image_numbers AS
SELECT image_id, (row_number() OVER (ORDER BY image_id))::INTEGER AS image
FROM (SELECT DISTINCT image_id FROM predictions);

-- Models and datasets that the study does not have are null.
CREATE TEMP VIEW short_predictions AS
SELECT
    predictions.* REPLACE (
        try_cast(model::VARCHAR AS model_id) AS model,
        try_cast(dataset::VARCHAR AS dataset_id) AS dataset),
    image
FROM predictions
JOIN image_numbers USING (image_id);
