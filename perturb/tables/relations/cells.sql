-- What there are decisions of. Reading it is cheaper than asking all decisions again.
CREATE TEMP TABLE cells AS
SELECT
    model::VARCHAR AS model,
    dataset::VARCHAR AS dataset,
    perturbation::VARCHAR AS perturbation,
    condition::VARCHAR AS condition,
    severity
FROM decisions
GROUP BY ALL;
