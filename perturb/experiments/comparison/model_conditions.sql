-- Accuracy of every model under every condition at every severity.
SELECT
    m.*,
    c.dataset,
    c.perturbation,
    c.condition,
    c.severity,
    CASE WHEN p.has_severities
        THEN printf(p.severity_label, round(c.severity * p.severity_scale, 6)) END
        AS severity_label,
    coalesce(
        d.condition_label,
        name_with_set(source.architecture_label, source.pretraining_label),
        c.condition) AS condition_label,
    c.accuracy,
    c.accuracy_low,
    c.accuracy_high,
    c.num_images,
    c.clean_accuracy
FROM condition_accuracies AS c
JOIN model_columns AS m USING (model)
JOIN datasets USING (dataset)
JOIN perturbations AS p USING (perturbation)
LEFT JOIN declared_conditions AS d USING (perturbation, condition)
LEFT JOIN labelled_models AS source
    ON source.model = c.condition AND d.condition IS NULL
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, p.place, c.dataset, d.place,
    source.pretraining_rank, source.family, source.num_parameters, c.condition, c.severity;
