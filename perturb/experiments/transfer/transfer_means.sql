-- Accuracy under transfer within and between families: means over the pairs of source and target,
-- ViTs and ResNets; networks of other families do not form one family. There is one prediction per
-- image and pair, so intervals are clustered by image.
WITH images AS (
    SELECT
        CASE
            WHEN source = target THEN 'itself'
            WHEN source_family = target_family THEN 'same family'
            ELSE 'other family'
        END AS relation,
        source_family,
        target_family,
        epsilon,
        epsilon_gray,
        image,
        count(*) AS num_pairs,
        sum(num_correct) AS num_correct,
        sum(clean_correct - num_correct) AS num_lost
    FROM transfer_predictions
    WHERE source IN (SELECT model FROM compared_models)
        AND target IN (SELECT model FROM compared_models)
    GROUP BY ALL
)
SELECT
    relation,
    source_family,
    target_family,
    epsilon,
    epsilon_gray,
    printf('%g/255', epsilon_gray) AS epsilon_label,
    max(num_pairs) AS num_pairs,
    count(*) AS num_images,
    sum(num_correct) / sum(num_pairs) AS accuracy,
    accuracy_low(sum(num_correct), sum(num_correct ** 2), count(*), max(num_pairs))
        AS accuracy_low,
    accuracy_high(sum(num_correct), sum(num_correct ** 2), count(*), max(num_pairs))
        AS accuracy_high,
    sum(num_lost) / sum(num_pairs) AS accuracy_lost,
    difference_low(
        sum(num_lost), sum(num_lost ** 2), sum(num_lost ** 4), count(*), max(num_pairs))
        AS accuracy_lost_low,
    difference_high(
        sum(num_lost), sum(num_lost ** 2), sum(num_lost ** 4), count(*), max(num_pairs))
        AS accuracy_lost_high
FROM images
GROUP BY relation, source_family, target_family, epsilon, epsilon_gray
ORDER BY
    epsilon,
    list_position(['itself', 'same family', 'other family'], relation),
    source_family;
