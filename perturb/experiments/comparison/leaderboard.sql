-- Every measure of every model, with its interval and its rank.
SELECT
    m.*,
    e.entry,
    e.run,
    study_measures.measure,
    study_measures.measure_label,
    study_measures.unit,
    study_measures.is_better_high,
    v.value,
    v.low AS value_low,
    v.high AS value_high,
    v.num_images::BIGINT AS num_images,
    CASE WHEN NOT of_entry.is_bound THEN of_entry.value END AS entry_value,
    of_entry.low AS entry_value_low,
    of_entry.high AS entry_value_high,
    v.measure IN (SELECT measure FROM mean_parts) AS is_averaged,
    CASE WHEN v.value IS NOT NULL THEN ranks.rank END AS rank,
    ranks.rank_low,
    ranks.rank_high,
    v.reason
FROM measure_values AS v
JOIN study_measures USING (measure)
JOIN model_columns AS m USING (model)
JOIN entry_places AS e ON e.model::VARCHAR = m.model
LEFT JOIN entry_values AS of_entry ON of_entry.measure = v.measure AND of_entry.entry = e.entry
LEFT JOIN measure_ranks AS ranks ON ranks.measure = v.measure AND ranks.entry = e.entry
ORDER BY
    study_measures.position, study_measures.measure, m.pretraining_rank, m.family, m.num_parameters, m.model;
