-- Every image must have the same number of random transforms for every model.
WITH counts AS (
    SELECT model, image_id, count(*) FILTER (NOT is_worst) AS num_samples
    FROM spatial_predictions
    GROUP BY model, image_id
)
SELECT
    'shards: spatial of ' || model || ' has between ' || min(num_samples) || ' and '
    || max(num_samples) || ' random transforms an image; expected '
    || (SELECT max(num_samples) FROM counts) AS problem
FROM counts
GROUP BY model
HAVING min(num_samples) <> (SELECT max(num_samples) FROM counts)
ORDER BY problem;
