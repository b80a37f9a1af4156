-- Every model under test must be measured on the patch grid of every ViT, so that families are
-- compared on the same grids. A study without patterns has no measures.
WITH grids AS (
    SELECT m.model, v.patch_size
    FROM benchmark_models AS m
    CROSS JOIN (SELECT DISTINCT patch_size FROM benchmark_models WHERE family = 'vit') AS v
    WHERE (SELECT count(*) FROM patterns) > 0
),
missing AS (
    SELECT 'patterns: ' || grids.model || ' was not measured on the grid of ' || grids.patch_size
        || ' px patches' AS problem
    FROM grids
    ANTI JOIN image_patterns AS p
        ON p.model = grids.model AND p.patch_px = grids.patch_size
),
strangers AS (
    SELECT DISTINCT 'patterns: ' || model || ' has measures but no entry in models'
    FROM patterns
    WHERE model NOT IN (SELECT model FROM models)
),
twice AS (
    SELECT DISTINCT 'patterns: ' || model || ' has an image twice'
    FROM patterns
    GROUP BY model, image_id, patch_px
    HAVING count(*) > 1
),
no_numbers AS (
    SELECT DISTINCT 'patterns: ' || model || ' on ' || image_id || ' has a ratio that is no number'
    FROM image_patterns
    WHERE NOT isfinite(border_ratio) OR NOT isfinite(foreground_ratio)
)
SELECT problem
FROM (FROM missing UNION ALL FROM strangers UNION ALL FROM twice UNION ALL FROM no_numbers)
ORDER BY problem;
