-- Problems that make a comparison invalid, one sentence per row. Every model under test must have
-- predicted on the same images, and equally often, on every test set.
WITH strangers AS (
    SELECT DISTINCT
        'models: ' || model || ' has shards but no entry' AS problem
    FROM cells
    WHERE model NOT IN (SELECT model FROM models)
    UNION
    SELECT DISTINCT 'datasets: ' || dataset || ' has shards but no entry'
    FROM cells
    WHERE dataset NOT IN (SELECT dataset FROM datasets)
)
SELECT problem
FROM (FROM strangers UNION ALL FROM shared_test_sets UNION ALL FROM unequal_models)
ORDER BY problem;
