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

-- What the checks of several relations look for. Perturbations that start from the clean images
-- have rows on these alone.
CREATE TEMP VIEW off_clean AS
SELECT DISTINCT
    perturbation,
    role,
    'datasets: ' || perturbation || ' was run on ' || dataset || ', whose role is ' || role
    || '; allowed: the clean dataset' AS problem
FROM cells
JOIN datasets USING (dataset)
WHERE role <> 'clean';

CREATE TEMP VIEW unknown_conditions AS
SELECT DISTINCT
    perturbation,
    'shards: ' || perturbation || ' has the condition ' || condition || '; allowed: '
    || array_to_string(conditions, ', ') AS problem
FROM cells
JOIN perturbations USING (perturbation)
WHERE len(conditions) > 0 AND NOT list_contains(conditions, condition);
