-- What there are predictions of, how many, and how many are correct. Reading it is cheaper than asking
-- all predictions again.
CREATE TEMP TABLE cells AS
SELECT
    model::VARCHAR AS model,
    dataset::VARCHAR AS dataset,
    perturbation::VARCHAR AS perturbation,
    condition::VARCHAR AS condition,
    severity,
    count(*) AS num_predictions,
    count(*) FILTER (is_correct) AS num_correct
FROM predictions
GROUP BY ALL;
