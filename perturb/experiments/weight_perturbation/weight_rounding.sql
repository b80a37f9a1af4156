-- Accuracy over the number of bits that the weights of linear layers and convolutions keep.
SELECT
    m.*,
    a.condition AS rounding,
    'Rounded weights' AS rounding_label,
    a.severity::INTEGER AS bits,
    a.* EXCLUDE (
        perturbation, condition, severity, model, num_samples, flops_kept, accuracy_se,
        accuracy_min, accuracy_max)
FROM model_accuracies AS a
JOIN model_columns AS m USING (model)
WHERE a.perturbation = 'weight_rounding'
ORDER BY m.pretraining_rank, m.family, m.num_parameters, m.model, a.severity DESC;
