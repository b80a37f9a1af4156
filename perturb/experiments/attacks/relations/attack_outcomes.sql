-- NEEDS image_outcomes
-- Attacks computed against the very model that decides, on images of the clean set. Right is what
-- withstood the attack; images that the model gets wrong anyway count as broken.
CREATE TEMP VIEW attack_stages AS
FROM (VALUES
    ('fgsm', 'fgsm', 'FGSM', 1),
    ('pgd', 'pgd', 'PGD', 2),
    -- One after another on what still stands: the last one's verdict is the ensemble's.
    ('ensemble', 'apgd_ce', 'APGD-CE', 3),
    ('ensemble', 'apgd_dlr', 'APGD-DLR', 4),
    ('ensemble', 'square', 'Square', 5)
) AS stages (attack, condition, condition_label, position);

CREATE TEMP TABLE attack_decisions AS
SELECT
    stages.attack,
    stages.condition,
    stages.condition_label,
    stages.position,
    stages.position = max(stages.position) OVER (PARTITION BY stages.attack) AS is_final,
    decisions.severity AS epsilon,
    epsilon_gray(decisions.severity) AS epsilon_gray,
    -- The same number, but for how its decimals were written.
    coalesce(abs(decisions.severity - getvariable('headline_epsilon')) < 1e-9, false)
        AS is_headline,
    decisions.dataset::VARCHAR AS dataset,
    decisions.model::VARCHAR AS model,
    decisions.image_id,
    decisions.is_correct,
    decisions.gradient_norm
FROM decisions
JOIN attack_stages AS stages
    ON stages.attack = decisions.perturbation AND stages.condition = decisions.condition;

-- At one epsilon, that of the paper's Figure 3.
CREATE TEMP TABLE attack_outcomes AS
SELECT
    attack AS test_set,
    dataset,
    model,
    image_id,
    1 AS num_decisions,
    is_correct::BIGINT AS num_correct
FROM attack_decisions
WHERE is_headline AND is_final;

-- From here on attacks are test sets like all others.
INSERT INTO image_outcomes
FROM attack_outcomes;
