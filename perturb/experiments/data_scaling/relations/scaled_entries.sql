-- NEEDS image_outcomes, benchmark_models
-- Models that were pre-trained on a known number of images, if there are two such numbers; the runs
-- of one entry, which differ in the luck of their training, are one model.
CREATE TEMP VIEW scaled_models AS
FROM benchmark_models
WHERE pretraining_images IS NOT NULL
    AND (SELECT count(DISTINCT pretraining_images) FROM benchmark_models) > 1;

CREATE TEMP VIEW scaled_architectures AS
SELECT
    architecture,
    min(entry_label) AS label,
    min(size) AS size,
    max(num_parameters) AS num_parameters
FROM scaled_models
GROUP BY architecture;

-- Sums over the runs, image by image.
CREATE TEMP TABLE entry_outcomes AS
SELECT
    o.test_set,
    m.entry,
    o.image,
    sum(o.num_predictions) AS num_predictions,
    sum(o.num_correct) AS num_correct
FROM image_outcomes AS o
JOIN scaled_models AS m USING (model)
GROUP BY o.test_set, m.entry, o.image;

-- Variance of the mean accuracy of the runs that comes from the runs; null for one run.
CREATE TEMP TABLE entry_runs AS
WITH runs AS (
    SELECT o.test_set, m.entry, m.run, sum(o.num_correct) / sum(o.num_predictions) AS accuracy
    FROM image_outcomes AS o
    JOIN scaled_models AS m USING (model)
    GROUP BY o.test_set, m.entry, m.run
)
SELECT
    test_set,
    entry,
    count(*) AS num_trainings,
    CASE WHEN count(*) > 1 THEN ordered_stddev(accuracy, run) ** 2 / count(*) END AS run_variance
FROM runs
GROUP BY test_set, entry;
