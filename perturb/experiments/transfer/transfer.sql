-- Accuracy of every model on the adversarial images of every model. All images are attacked,
-- including those that the source predicts incorrectly.
SELECT
    t.source,
    -- The source is the same run as the target, whose label names it.
    name_with_set(s.entry_label, s.pretraining_label, before := ' · ', after := '')
        AS source_label,
    t.source_family,
    s.num_parameters AS source_num_parameters,
    s.pretraining_rank AS source_pretraining_rank,
    t.target,
    name_with_set(m.architecture_label, m.pretraining_label, before := ' · ', after := '')
        AS target_label,
    t.target_family,
    m.*,
    t.source = t.target AS is_itself,
    t.epsilon,
    t.epsilon_gray,
    printf('%g/255', t.epsilon_gray) AS epsilon_label,
    count(*) AS num_images,
    sum(t.clean_correct) / count(*) AS clean_accuracy,
    wilson_low(sum(t.clean_correct), count(*)) AS clean_accuracy_low,
    wilson_high(sum(t.clean_correct), count(*)) AS clean_accuracy_high,
    sum(t.num_correct) / count(*) AS accuracy,
    wilson_low(sum(t.num_correct), count(*)) AS accuracy_low,
    wilson_high(sum(t.num_correct), count(*)) AS accuracy_high
FROM transfer_predictions AS t
JOIN benchmark_models AS s ON s.model = t.source
JOIN model_columns AS m ON m.model = t.target
GROUP BY ALL
ORDER BY
    t.epsilon,
    t.source_family, s.pretraining_rank, s.num_parameters, t.source,
    t.target_family, m.pretraining_rank, m.num_parameters, t.target;
