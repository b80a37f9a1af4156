-- Cells, predictions and times, from the inventory of the shards. Times differ between runs, so
-- this table is not reproducible byte for byte, and no other table reads it.
SELECT
    perturbation,
    dataset,
    count(*) AS num_cells,
    count(DISTINCT model) AS num_models,
    max(num_images) AS num_images,
    sum(num_rows)::BIGINT AS num_predictions,
    ordered_sum(seconds, path) AS seconds,
    sum(num_rows) / ordered_sum(seconds, path) AS images_per_second,
    string_agg(DISTINCT device, ', ' ORDER BY device) AS devices,
    string_agg(DISTINCT commit, ', ' ORDER BY commit) AS commits,
    string_agg(DISTINCT 'torch ' || torch, ', ' ORDER BY 'torch ' || torch) AS versions
FROM inventory
GROUP BY perturbation, dataset
ORDER BY perturbation, dataset;
