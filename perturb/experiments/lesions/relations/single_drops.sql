-- NEEDS model_outcomes
-- Accuracy lost without a single part: a block, its MLP or attention, or a head.
CREATE TEMP VIEW single_drops AS
SELECT
    perturbation::VARCHAR AS perturbation,
    condition::VARCHAR AS condition,
    model,
    sample,
    removed,
    num_images,
    clean / num_images AS baseline_accuracy,
    wilson_low(clean, num_images) AS baseline_accuracy_low,
    wilson_high(clean, num_images) AS baseline_accuracy_high,
    k / num_images AS accuracy,
    wilson_low(k, num_images) AS accuracy_low,
    wilson_high(k, num_images) AS accuracy_high,
    (clean - k) / num_images AS drop,
    difference_low(clean - k, d2, d2, num_images, 1) AS drop_low,
    difference_high(clean - k, d2, d2, num_images, 1) AS drop_high
FROM model_samples
WHERE perturbation IN ('lesions', 'heads') AND severity = 1;

CREATE TEMP VIEW part_labels AS
FROM (VALUES
    ('block', 'Block', 1),
    ('mlp', 'MLP', 2),
    ('attention', 'Attention', 3)
) AS labels (part, part_label, position);
