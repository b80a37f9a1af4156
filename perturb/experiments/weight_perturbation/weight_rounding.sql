-- Accuracy over the number of bits that the weights of linear layers and convolutions keep.
SELECT
    m.*,
    a.condition AS rounding,
    'Rounded weights' AS rounding_label,
    a.severity::INTEGER AS bits,
    a.num_images,
    a.baseline_accuracy,
    a.baseline_accuracy_low,
    a.baseline_accuracy_high,
    a.accuracy,
    a.accuracy_low,
    a.accuracy_high
FROM model_accuracies AS a
JOIN model_columns AS m USING (model)
WHERE a.perturbation = 'weight_rounding'
ORDER BY m.pretraining_rank, m.family, m.num_parameters, m.model, a.severity DESC;
