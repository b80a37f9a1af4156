-- The paper's claims, each as a statistic with an interval and a verdict. The claimed side, the
-- threshold and the minimum number of models are in claim_rules; the rule is verdict().
WITH levels AS (
    SELECT pretraining, pretraining_rank, 'largest' AS level
    FROM compared_models
    WHERE pretraining_rank = (SELECT max(pretraining_rank) FROM compared_models)
    UNION
    -- With one pre-training set there is no "little data" to compare with.
    SELECT pretraining, pretraining_rank, 'smallest'
    FROM compared_models
    WHERE pretraining_rank = (SELECT min(pretraining_rank) FROM compared_models)
        AND pretraining_rank < (SELECT max(pretraining_rank) FROM compared_models)
),
statistics AS (
    SELECT kind, name, test_set, level, estimate, low, high, num_models, num_images
    FROM contrasts
    JOIN levels USING (pretraining, pretraining_rank)
    UNION ALL
    SELECT kind, name, test_set, 'all', estimate, low, high, num_models, num_images
    FROM contrasts
    WHERE pretraining IS NULL
    UNION ALL
    SELECT kind, name, test_set, 'all', estimate, low, high, num_models, num_images
    FROM model_contrasts
    UNION ALL
    SELECT 'rank_correlation', 'all', test_set, 'all', estimate, low, high, num_models, num_images
    FROM rank_correlations
),
tested AS (
    SELECT test_set FROM model_values
    UNION
    SELECT test_set FROM change_sets
),
judged AS (
    SELECT
        rules.*,
        test_sets.test_set_label,
        test_sets.position,
        statistics.num_models,
        statistics.num_images,
        CASE WHEN statistics.num_models >= rules.minimum_models THEN statistics.estimate END
            AS estimate,
        CASE WHEN statistics.num_models >= rules.minimum_models THEN statistics.low END
            AS estimate_low,
        CASE WHEN statistics.num_models >= rules.minimum_models THEN statistics.high END
            AS estimate_high,
        verdict(estimate_low, estimate_high, rules.side, rules.threshold) AS verdict
    FROM claim_rules AS rules
    JOIN test_sets USING (test_set)
    LEFT JOIN statistics USING (kind, name, level, test_set)
)
SELECT
    claim,
    part,
    statement,
    test_set,
    test_set_label,
    kind,
    name,
    level,
    statistic,
    unit,
    estimate,
    estimate_low,
    estimate_high,
    side,
    threshold,
    verdict,
    CASE
        WHEN verdict <> 'not testable' THEN NULL
        WHEN test_set NOT IN (SELECT test_set FROM tested) THEN CASE
            WHEN test_set IN (SELECT attack FROM attack_stages)
                AND test_set IN (SELECT perturbation FROM cells)
                THEN 'not run at the epsilon that models are compared at'
            ELSE 'not part of this study'
        END
        WHEN num_models IS NULL AND test_set IN (SELECT test_set FROM change_sets)
            THEN 'nothing in this study that could be compared'
        WHEN num_models IS NULL THEN 'no such models in this study'
        WHEN num_models < minimum_models THEN
            'needs ' || minimum_models || ' models, this study has ' || num_models
        ELSE 'the statistic does not exist: too few images, a model without errors, or models '
            || 'that no image distinguishes'
    END AS reason,
    -- Verdict of a claim: that on which its testable parts agree.
    CASE
        WHEN bool_and(verdict = 'not testable') OVER whole THEN 'not testable'
        WHEN bool_and(verdict IN ('supported', 'not testable')) OVER whole THEN 'supported'
        WHEN bool_and(verdict IN ('contradicted', 'not testable')) OVER whole
            THEN 'contradicted'
        WHEN bool_or(verdict = 'supported') OVER whole
            AND bool_or(verdict = 'contradicted') OVER whole THEN 'mixed'
        ELSE 'undecided'
    END AS claim_verdict,
    num_models,
    num_images,
    paper
FROM judged
WINDOW whole AS (PARTITION BY claim)
ORDER BY claim[2:]::INTEGER, part, position;
