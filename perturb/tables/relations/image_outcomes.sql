-- How many of its decisions on an image a model got right, test set by test set. Corruptions
-- count the 15 of the benchmark, every severity; the extra four are in no mean. Stimuli whose
-- shape and texture disagree have no right answer: they are not among the test sets.
CREATE TEMP TABLE image_outcomes AS
SELECT
    CASE WHEN datasets.role = 'other' THEN decisions.dataset ELSE datasets.role END::VARCHAR
        AS test_set,
    decisions.dataset::VARCHAR AS dataset,
    decisions.model::VARCHAR AS model,
    decisions.image_id,
    count(*) AS num_decisions,
    count(*) FILTER (decisions.is_correct) AS num_correct
FROM decisions
JOIN datasets ON datasets.dataset = decisions.dataset
WHERE decisions.perturbation = 'none' AND datasets.role <> 'cue_conflict'
GROUP BY ALL
UNION ALL
SELECT
    'corruptions',
    decisions.dataset::VARCHAR,
    decisions.model::VARCHAR,
    decisions.image_id,
    count(*),
    count(*) FILTER (decisions.is_correct)
FROM corruption_decisions AS decisions
JOIN datasets ON datasets.dataset = decisions.dataset
JOIN corruptions ON corruptions.corruption = decisions.condition
WHERE datasets.role IN ('clean', 'corrupted') AND corruptions.is_benchmark
GROUP BY ALL;

-- The models under test that lack decisions which another one has.
CREATE TEMP VIEW unequal_models AS
WITH whole AS (
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
)
SELECT
    'shards: ' || m.model || ' on ' || whole.test_set || ' has '
    || coalesce(found.num_images, 0) || ' images x ' || coalesce(found.num_decisions, 0)
    || ' decisions; expected ' || whole.num_images || ' x ' || whole.num_decisions AS problem
FROM whole
CROSS JOIN benchmark_models AS m
LEFT JOIN found ON found.test_set = whole.test_set AND found.model = m.model
WHERE found.num_images IS DISTINCT FROM whole.num_images
    OR found.num_decisions IS DISTINCT FROM whole.num_decisions;
