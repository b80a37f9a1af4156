-- NEEDS cells, corruptions, corruption_names
-- The denominators of CE and relative CE: the reference's errors summed over the severities of this
-- study. Published constants are means over severities 1 to 5 (severity is null) and apply only to
-- a study with these five. Without denominators all sums are null, and so are CE and mCE.
CREATE TEMP VIEW severities_run AS
SELECT DISTINCT condition AS corruption, severity
FROM cells
WHERE is_corruption(perturbation);

CREATE TEMP VIEW reference_sums AS
WITH by_severity AS (
    SELECT corruption, ordered_sum(error, severity) AS error_sum, count(*) AS num_severities
    FROM reference_errors
    JOIN severities_run USING (corruption, severity)
    GROUP BY corruption
),
over_five AS (
    SELECT corruption, 5 * error AS error_sum, 5 AS num_severities
    FROM reference_errors
    WHERE severity IS NULL AND corruption <> 'none'
),
reference AS (
    FROM by_severity
    UNION ALL
    FROM over_five
),
run AS (
    SELECT corruption, count(*) AS num_severities
    FROM severities_run
    GROUP BY corruption
)
SELECT
    corruptions.corruption,
    corruptions.position,
    CASE
        WHEN reference.num_severities = run.num_severities THEN reference.error_sum
        WHEN corruptions.is_benchmark AND getvariable('has_denominators') THEN error(
            'reference_errors: ' || corruptions.corruption || ' has errors of '
            || coalesce(reference.num_severities, 0) || ' severities, the study ran '
            || run.num_severities)
    END AS error_sum,
    reference.error_sum
    - run.num_severities * (SELECT any_value(error) FROM reference_errors WHERE corruption = 'none')
        AS relative_error_sum
FROM corruptions
JOIN run USING (corruption)
LEFT JOIN reference USING (corruption);
