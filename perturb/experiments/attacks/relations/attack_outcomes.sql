-- NEEDS image_outcomes
-- ADDS TO image_outcomes
-- Attacks computed against the model that they are evaluated on. Those on images of the clean set are
-- test sets, on which models are compared.
-- Correct means correct after the attack; images that the model predicts incorrectly before it
-- count as incorrect.
CREATE TEMP VIEW attack_stages AS
FROM (VALUES
    ('fgsm', 'fgsm', 'FGSM', 1),
    ('pgd', 'pgd', 'PGD', 2),
    -- The attacks run in sequence on the images still predicted correctly: the last one's
    -- prediction is the ensemble's.
    ('attack_ensemble', 'apgd_ce', 'APGD-CE', 3),
    ('attack_ensemble', 'apgd_dlr', 'APGD-T', 4),
    ('attack_ensemble', 'fab', 'FAB', 5),
    ('attack_ensemble', 'square', 'Square', 6),
    ('attack_ensemble_l2', 'apgd_ce', 'APGD-CE', 7),
    ('attack_ensemble_l2', 'apgd_dlr', 'APGD-T', 8),
    ('attack_ensemble_l2', 'fab', 'FAB', 9),
    ('attack_ensemble_l2', 'square', 'Square', 10)
) AS stages (attack, condition, condition_label, position);

CREATE TEMP TABLE attack_predictions AS
SELECT
    stages.attack,
    stages.condition,
    stages.condition_label,
    stages.position,
    stages.position = max(stages.position) OVER (PARTITION BY stages.attack) AS is_final,
    stages.attack = 'attack_ensemble_l2' AS is_in_l2,
    predictions.severity AS epsilon,
    -- Lengths in the L2 ball are no gray levels, and are compared with no headline epsilon.
    CASE WHEN NOT is_in_l2 THEN epsilon_gray(predictions.severity) END AS epsilon_gray,
    -- The same number, except for its decimal notation.
    coalesce(abs(predictions.severity - getvariable('headline_epsilon')) < 1e-9, false)
        AND NOT is_in_l2 AS is_headline,
    predictions.dataset,
    predictions.model,
    predictions.image,
    predictions.is_correct,
    predictions.gradient_norm
FROM short_predictions AS predictions
JOIN attack_stages AS stages
    ON stages.attack = predictions.perturbation AND stages.condition = predictions.condition;

-- At one epsilon, as in the paper's Figure 3.
CREATE TEMP TABLE attack_outcomes AS
SELECT
    attack AS test_set,
    dataset,
    model,
    image,
    1 AS num_predictions,
    is_correct::BIGINT AS num_correct
FROM attack_predictions
JOIN datasets USING (dataset)
WHERE is_headline AND is_final AND datasets.role = 'clean';

-- Attacks are test sets from here on.
INSERT INTO image_outcomes
FROM attack_outcomes;
