-- NEEDS series
-- Each ViT with its ResNet of matched size at the same pre-training set: the one of the same
-- size name where there is one, else the nearest in parameters if the larger of the two has at
-- most three times the parameters of the smaller. Of models that are trained several times, run k
-- is compared with run k; a run without a counterpart is in no pair.
CREATE TEMP VIEW matched AS
WITH candidates AS (
    SELECT
        vit.entry AS vit,
        resnet.entry AS resnet,
        row_number() OVER (
            PARTITION BY vit.model
            ORDER BY
                (vit.size = resnet.size) DESC,
                abs(ln(vit.num_parameters / resnet.num_parameters)),
                resnet.model
        ) AS place
    FROM compared_models AS vit
    JOIN compared_models AS resnet ON resnet.pretraining = vit.pretraining
        AND resnet.family = 'resnet'
        AND vit.family = 'vit'
        AND (resnet.size = vit.size
            OR greatest(vit.num_parameters, resnet.num_parameters)
            <= 3 * least(vit.num_parameters, resnet.num_parameters))
    -- Every entry has a first run: all of its runs have the same counterpart.
    WHERE vit.run = 1 AND resnet.run = 1
)
SELECT
    vit.pretraining,
    vit.pretraining_rank,
    vit.run,
    vit.model AS vit,
    resnet.model AS resnet,
    vit.model IN (SELECT model FROM series) AS is_series,
    vit.num_parameters / resnet.num_parameters AS parameter_ratio
FROM candidates AS pairs
JOIN compared_models AS vit ON vit.entry = pairs.vit
JOIN compared_models AS resnet ON resnet.entry = pairs.resnet AND resnet.run = vit.run
WHERE pairs.place = 1;
