-- What would make a comparison unfair, in words; no row is good. Every model under test must have
-- decided on the same images, and equally often, on every test set.
WITH strangers AS (
    SELECT DISTINCT
        'models: ' || decisions.model || ' has shards but no entry' AS problem
    FROM decisions
    WHERE decisions.model::VARCHAR NOT IN (SELECT model FROM models)
    UNION
    SELECT DISTINCT 'datasets: ' || decisions.dataset || ' has shards but no entry'
    FROM decisions
    WHERE decisions.dataset::VARCHAR NOT IN (SELECT dataset FROM datasets)
),
shared_roles AS (
    SELECT
        'datasets: ' || string_agg(DISTINCT dataset, ' and ' ORDER BY dataset)
        || ' are both the test set ' || test_set || '; allowed: one' AS problem
    FROM image_outcomes
    GROUP BY test_set
    HAVING count(DISTINCT dataset) > 1
),
whole AS (
    SELECT
        test_set,
        count(DISTINCT image_id) AS num_images,
        max(num_decisions) AS num_decisions
    FROM image_outcomes
    GROUP BY test_set
),
found AS (
    SELECT
        test_set,
        model,
        count(*) AS num_images,
        min(num_decisions) AS num_decisions
    FROM image_outcomes
    GROUP BY test_set, model
),
unequal AS (
    SELECT
        'shards: ' || m.model || ' on ' || whole.test_set || ' has '
        || coalesce(found.num_images, 0) || ' images x ' || coalesce(found.num_decisions, 0)
        || ' decisions; expected ' || whole.num_images || ' x ' || whole.num_decisions AS problem
    FROM whole
    CROSS JOIN benchmark_models AS m
    LEFT JOIN found ON found.test_set = whole.test_set AND found.model = m.model
    WHERE found.num_images IS DISTINCT FROM whole.num_images
        OR found.num_decisions IS DISTINCT FROM whole.num_decisions
)
SELECT problem
FROM (FROM strangers UNION ALL FROM shared_roles UNION ALL FROM unequal)
ORDER BY problem;
