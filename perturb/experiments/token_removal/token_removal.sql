-- Accuracy and FLOPs over the fraction of patch tokens removed early in the model.
SELECT
    m.*,
    a.condition AS method,
    CASE a.condition WHEN 'random' THEN 'At random' ELSE 'Least attention' END AS method_label,
    a.severity AS drop_rate,
    printf('%g %%', 100 * drop_rate) AS drop_rate_label,
    a.flops_kept,
    a.num_samples AS num_seeds,
    a.* EXCLUDE (
        perturbation, condition, severity, model, num_samples, flops_kept, accuracy_se,
        accuracy_min, accuracy_max)
FROM model_accuracies AS a
JOIN model_columns AS m USING (model)
WHERE a.perturbation = 'token_removal'
ORDER BY
    m.pretraining_rank, m.family, m.num_parameters, m.model, a.condition DESC, a.severity;
