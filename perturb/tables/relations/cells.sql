-- What there are predictions of. Reading it is cheaper than asking all predictions again.
CREATE TEMP TABLE cells AS
SELECT
    model::VARCHAR AS model,
    dataset::VARCHAR AS dataset,
    perturbation::VARCHAR AS perturbation,
    condition::VARCHAR AS condition,
    severity
FROM predictions
GROUP BY ALL;
