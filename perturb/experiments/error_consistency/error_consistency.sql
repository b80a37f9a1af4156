-- Error consistency of every two deciders on a test set, and of each model with all people together.
-- Each pair is here in both orders.
WITH named AS (
    SELECT
        model AS decider,
        family,
        name_with_set(architecture_label, pretraining_label, before := ' ', after := '') AS label,
        row_number() OVER (
            ORDER BY list_position(['resnet', 'vit', 'other'], family), pretraining_rank,
                num_parameters, model) AS position
    FROM benchmark_models
    UNION ALL
    SELECT decider, 'human', 'Human ' || decider, 1000000 + place
    FROM deciders
    WHERE is_human
    UNION ALL
    SELECT 'human', 'human', 'Humans, mean', 999999
),
pairs AS (
    SELECT *, one AS decider, other AS other_decider
    FROM error_kappas
    WHERE kind <> 'families'
    UNION ALL
    SELECT *, other, one
    FROM error_kappas
    WHERE kind <> 'families'
)
SELECT
    labels.test_set,
    labels.test_set_label,
    pairs.decider,
    a.label AS decider_label,
    a.family AS decider_family,
    pairs.other_decider,
    b.label AS other_label,
    b.family AS other_family,
    pairs.num_pairs AS num_model_pairs,
    pairs.num_images,
    pairs.num_conditions,
    pairs.observed AS observed_agreement,
    pairs.expected AS expected_agreement,
    pairs.kappa,
    greatest(-1, pairs.kappa - contrast_half_width(0, d2, d4, num_images, reach)) AS kappa_low,
    least(1, pairs.kappa + contrast_half_width(0, d2, d4, num_images, reach)) AS kappa_high,
    pairs.least AS least_kappa,
    pairs.most AS most_kappa
FROM pairs
JOIN consistency_sets AS labels USING (test_set)
JOIN named AS a ON a.decider = pairs.decider
JOIN named AS b ON b.decider = pairs.other_decider
ORDER BY labels.position, labels.test_set, a.position, b.position;
