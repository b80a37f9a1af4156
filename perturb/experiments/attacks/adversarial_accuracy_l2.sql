-- Accuracy over the epsilon of the L2 ball, after each attack of the ensemble. Figure 3 and the
-- headline epsilon are of the L-infinity ball, so these rows are in a table of their own.
SELECT
    m.*,
    a.attack,
    CASE WHEN datasets.role = 'clean' THEN 'Attack ensemble, L2'
        ELSE 'Attack ensemble, L2, ' || datasets.label
    END AS attack_label,
    a.condition,
    a.condition_label,
    a.is_final,
    a.epsilon AS l2_epsilon,
    printf('%g', a.epsilon) AS l2_epsilon_label,
    count(*) AS num_images,
    sum(clean.num_correct) / count(*) AS clean_accuracy,
    wilson_low(sum(clean.num_correct), count(*)) AS clean_accuracy_low,
    wilson_high(sum(clean.num_correct), count(*)) AS clean_accuracy_high,
    count(*) FILTER (a.is_correct) / count(*) AS accuracy,
    wilson_low(count(*) FILTER (a.is_correct), count(*)) AS accuracy_low,
    wilson_high(count(*) FILTER (a.is_correct), count(*)) AS accuracy_high,
    sum(clean.num_correct)::BIGINT AS num_attacked,
    count(*) FILTER (a.gradient_norm = 0) AS num_zero_gradient
FROM attack_predictions AS a
JOIN model_columns AS m USING (model)
JOIN datasets USING (dataset)
JOIN image_outcomes AS clean
    ON clean.test_set = CASE WHEN datasets.role = 'extra' THEN a.dataset ELSE datasets.role END
    AND clean.model = a.model AND clean.image = a.image
WHERE a.is_in_l2
GROUP BY ALL
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model,
    bool_and(datasets.role = 'clean') DESC, min(a.dataset), min(a.position), a.epsilon;
