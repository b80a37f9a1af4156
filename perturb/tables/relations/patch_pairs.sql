-- NEEDS benchmark_models
-- ViTs of one size and one pre-training set that differ in the size of their patches: the largest
-- patches with the smallest.
CREATE TEMP VIEW patch_pairs AS
SELECT
    pretraining,
    pretraining_rank,
    size,
    arg_max(model, (patch_size, model)) AS large,
    arg_min(model, (patch_size, model)) AS small
FROM benchmark_models
WHERE family = 'vit'
GROUP BY pretraining, pretraining_rank, size
HAVING min(patch_size) < max(patch_size);
