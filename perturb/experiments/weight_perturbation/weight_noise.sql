-- Accuracy over the size of Gaussian noise on all weights, over several draws.
SELECT
    m.*,
    a.condition AS noise,
    'Gaussian noise' AS noise_label,
    a.severity AS noise_scale,
    printf('%g %%', 100 * a.severity) AS noise_scale_label,
    a.num_samples AS num_seeds,
    a.* EXCLUDE (perturbation, condition, severity, model, num_samples, flops_kept)
FROM model_accuracies AS a
JOIN model_columns AS m USING (model)
WHERE a.perturbation = 'weight_noise'
ORDER BY m.pretraining_rank, m.family, m.num_parameters, m.model, a.severity;
