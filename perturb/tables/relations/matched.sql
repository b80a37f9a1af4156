-- NEEDS series
-- Each ViT with its ResNet of matched size at the same pre-training set: the one of the same
-- size name where there is one, else the nearest in parameters if the larger of the two has at
-- most three times the parameters of the smaller.
CREATE TEMP VIEW matched AS
WITH candidates AS (
    SELECT
        vit.pretraining,
        vit.pretraining_rank,
        vit.model AS vit,
        resnet.model AS resnet,
        vit.model IN (SELECT model FROM series) AS is_series,
        vit.num_parameters / resnet.num_parameters AS parameter_ratio,
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
)
SELECT * EXCLUDE (place)
FROM candidates
WHERE place = 1;
