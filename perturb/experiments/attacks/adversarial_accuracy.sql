-- Accuracy over epsilon for each attack and attacked dataset. The ensemble's attacks run in sequence, each on the images
-- still predicted correctly: the last one's accuracy is the ensemble's.
SELECT
    m.*,
    a.attack,
    CASE WHEN datasets.role = 'clean' THEN test_sets.test_set_label
        ELSE test_sets.test_set_label || ', ' || datasets.label
    END AS attack_label,
    a.condition,
    a.condition_label,
    a.is_final,
    a.epsilon,
    a.epsilon_gray,
    printf('%g/255', a.epsilon_gray) AS epsilon_label,
    a.is_headline,
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
JOIN test_sets ON test_sets.test_set = a.attack
JOIN datasets USING (dataset)
JOIN image_outcomes AS clean
    ON clean.test_set = CASE WHEN datasets.role = 'extra' THEN a.dataset ELSE datasets.role END
    AND clean.model = a.model AND clean.image = a.image
GROUP BY ALL
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model,
    bool_and(datasets.role = 'clean') DESC, min(a.dataset), min(a.position), a.epsilon;
