-- NEEDS benchmark_models
-- ViTs of one size and one pre-training set that differ in the size of their patches: the largest
-- patches with the smallest. Of models that are trained several times, run k is compared with run k.
CREATE TEMP VIEW patch_pairs AS
WITH entries AS (
    SELECT
        pretraining,
        pretraining_rank,
        size,
        arg_max(entry, (patch_size, model)) AS large,
        arg_min(entry, (patch_size, model)) AS small
    FROM benchmark_models
    WHERE family = 'vit' AND run = 1
    GROUP BY pretraining, pretraining_rank, size
    HAVING min(patch_size) < max(patch_size)
)
SELECT
    entries.pretraining,
    entries.pretraining_rank,
    entries.size,
    large.run,
    large.model AS large,
    small.model AS small
FROM entries
JOIN benchmark_models AS large ON large.entry = entries.large
JOIN benchmark_models AS small ON small.entry = entries.small AND small.run = large.run;
