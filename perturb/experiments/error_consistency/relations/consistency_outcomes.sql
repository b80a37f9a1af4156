-- NEEDS corruption_predictions, benchmark_models, test_sets
-- Who is right on which image: models, and people where their decisions are given. Corruptions are
-- in conditions, one a corruption and severity. Adversarial images depend on the model: they are not
-- the same for all, so they are not here. On cue conflicts the shape is right.
CREATE TEMP TABLE decided_images AS
SELECT
    predictions.image,
    any_value(predictions.image_id) AS image_id,
    any_value(predictions.target) AS target,
    parse_filename(any_value(predictions.image_id)) AS file
FROM short_predictions AS predictions
JOIN datasets ON datasets.dataset = predictions.dataset AND datasets.has_decisions
WHERE predictions.perturbation = 'none'
GROUP BY predictions.image;

-- A trial names the file of its image, often behind words on the trial: 0001_s5n_s01_bird3-dog2.png.
-- Where several files end the name, the longest one is meant.
CREATE TEMP TABLE decided_trials AS
WITH trials AS (
    SELECT
        row_number() OVER () AS trial,
        trim(subj::VARCHAR) AS subject,
        lower(trim(object_response::VARCHAR)) AS answer,
        lower(trim(category::VARCHAR)) AS category,
        parse_filename(trim(imagename::VARCHAR)) AS name
    FROM decisions
)
SELECT trials.*, image, image_id, target
FROM trials
LEFT JOIN decided_images ON name = file OR ends_with(name, '_' || file)
QUALIFY rank() OVER (PARTITION BY trial ORDER BY length(file) DESC) = 1;

CREATE TEMP TABLE deciders AS
SELECT
    *,
    CASE WHEN NOT is_human THEN decider::model_id END AS model,
    (row_number() OVER (ORDER BY is_human, decider) - 1)::INTEGER AS place
FROM (
    SELECT model::VARCHAR AS decider, false AS is_human
    FROM benchmark_models
    UNION
    SELECT subject, true
    FROM decided_trials
    WHERE image IS NOT NULL
);

CREATE TEMP VIEW consistency_outcomes AS
SELECT
    CASE WHEN datasets.role = 'extra' THEN datasets.dataset ELSE datasets.role END AS test_set,
    'none' AS condition,
    0 AS severity,
    d.place,
    predictions.image,
    predictions.is_correct
FROM short_predictions AS predictions
JOIN deciders AS d ON d.model = predictions.model
JOIN datasets ON datasets.dataset = predictions.dataset AND datasets.role <> 'corrupted'
WHERE predictions.perturbation = 'none'
UNION ALL
SELECT
    'corruptions',
    c.condition,
    c.severity,
    d.place,
    c.image,
    c.is_correct
FROM corruption_predictions AS c
JOIN deciders AS d ON d.model = c.model
JOIN corruptions ON corruptions.corruption = c.condition AND corruptions.is_benchmark
JOIN datasets ON datasets.dataset = c.dataset AND datasets.role IN ('clean', 'corrupted')
UNION ALL
SELECT
    (SELECT CASE WHEN role = 'extra' THEN dataset ELSE role END FROM datasets WHERE has_decisions),
    'none',
    0,
    d.place,
    image,
    coalesce(answer = category, false)
FROM decided_trials
JOIN deciders AS d ON d.decider = subject AND d.is_human
WHERE image IS NOT NULL;

-- The test set of shapes and textures has the name of what models are compared by there.
CREATE TEMP VIEW consistency_sets AS
SELECT
    test_set,
    CASE test_set WHEN 'cue_conflict' THEN 'Cue conflict' ELSE test_set_label END AS test_set_label,
    position
FROM test_sets;

-- A bit for each decider, 60 in a word: which ones decided on an image, and which of them are right.
CREATE TEMP TABLE consistency_words AS
SELECT
    test_set,
    condition,
    severity,
    image,
    place // 60 AS word,
    bit_or(1::BIGINT << (place % 60)) AS present,
    coalesce(bit_or(1::BIGINT << (place % 60)) FILTER (is_correct), 0) AS right_ones
FROM consistency_outcomes
GROUP BY ALL;
