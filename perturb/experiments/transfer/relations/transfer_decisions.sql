-- NEEDS image_outcomes
-- Decisions on images that were attacked against another model, or the same, the source.
CREATE TEMP TABLE transfer_decisions AS
SELECT
    source.model AS source,
    source.family AS source_family,
    target.model AS target,
    target.family AS target_family,
    decisions.severity AS epsilon,
    epsilon_gray(decisions.severity) AS epsilon_gray,
    decisions.image_id,
    clean.num_correct AS clean_correct,
    decisions.is_correct::BIGINT AS num_correct
FROM decisions
JOIN benchmark_models AS source ON source.model = decisions.condition
JOIN benchmark_models AS target ON target.model = decisions.model
JOIN image_outcomes AS clean
    ON clean.dataset = decisions.dataset
    AND clean.test_set IN ('clean', clean.dataset)
    AND clean.model = decisions.model
    AND clean.image_id = decisions.image_id
WHERE decisions.perturbation = 'transfer';
