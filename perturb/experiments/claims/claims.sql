-- The paper's claims, each as a statistic with an interval, a p-value and a verdict. The claimed
-- side, the threshold and the minimum number of models are in claim_rules; the rule of a row is
-- verdict(). Where the components of a mean disagree, the row is mixed, whatever their mean.
WITH tested AS (
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
        coalesce(statistics.num_models >= rules.minimum_models, false) AS is_enough,
        CASE WHEN is_enough THEN estimate END AS estimate,
        CASE WHEN is_enough THEN low END AS estimate_low,
        CASE WHEN is_enough THEN high END AS estimate_high,
        CASE WHEN is_enough AND low IS NOT NULL THEN coalesce(
            p_value, student_tail((centre - threshold) / sqrt(variance), degrees_of_freedom)) END
            AS p_value,
        verdict(estimate_low, estimate_high, rules.side, rules.threshold) AS mean_verdict
    FROM claim_rules AS rules
    JOIN test_sets USING (test_set)
    LEFT JOIN claim_statistics AS statistics USING (kind, name, level, test_set)
),
-- Holm (1979): the m - i + 1 times the i-th smallest of m p-values, and no less than those before.
corrected AS (
    SELECT
        claim,
        part,
        test_set,
        num_rows,
        least(1, max(p_value * (num_rows - place + 1)) OVER (ORDER BY place)) AS p_holm
    FROM (
        SELECT
            *,
            count(*) OVER () AS num_rows,
            row_number() OVER (ORDER BY p_value, claim, part, test_set) AS place
        FROM judged
        WHERE p_value IS NOT NULL
    )
),
components AS (
    SELECT
        rules.claim,
        rules.part,
        test_set,
        component,
        rules.unit,
        estimate,
        centre > threshold AS is_above,
        student_tail((centre - threshold) / sqrt(variance), degrees_of_freedom) AS p_value,
        count(p_value) OVER of_row AS num_components,
        row_number() OVER (of_row ORDER BY p_value, component) AS place
    FROM claim_rules AS rules
    JOIN claim_components USING (kind, name, level, test_set)
    WHERE variance > 0
    WINDOW of_row AS (PARTITION BY rules.claim, rules.part, test_set)
),
-- Components on either side of the threshold, if Holm's correction within the row finds some.
sides AS (
    SELECT
        *,
        max(p_value * (num_components - place + 1)) OVER (
            PARTITION BY claim, part, test_set ORDER BY place) AS p_holm
    FROM components
),
disagreements AS (
    SELECT
        claim,
        part,
        test_set,
        string_agg(
            component || ' ' || replace(CASE unit WHEN 'points'
                THEN printf('%+.1f', 100 * estimate) ELSE printf('%+.3f', estimate) END, '-', '−'),
            '; ' ORDER BY estimate DESC, component) AS disagreeing,
        greatest(min(p_holm) FILTER (is_above), min(p_holm) FILTER (NOT is_above)) AS p_sides
    FROM sides
    WHERE p_holm < 0.05
    GROUP BY claim, part, test_set
    HAVING bool_or(is_above) AND NOT bool_and(is_above)
),
verdicts AS (
    SELECT
        judged.*,
        p_holm,
        CASE WHEN mean_verdict <> 'not testable' THEN disagreeing END AS disagreeing,
        CASE WHEN disagreeing IS NULL OR mean_verdict = 'not testable' THEN mean_verdict
            ELSE 'mixed' END AS verdict,
        -- p_value and p_holm are those of the mean. A disagreement has its own: corrected within the
        -- row, and then for as many rows (Bonferroni).
        CASE verdict WHEN 'mixed' THEN p_sides END AS p_disagreement,
        at_most(1, p_disagreement * num_rows) AS p_disagreement_all,
        CASE
            WHEN verdict IN ('not testable', 'undecided') THEN NULL
            WHEN CASE verdict WHEN 'mixed' THEN p_disagreement_all ELSE p_holm END < 0.05
                THEN 'all claims together'
            ELSE 'this row alone'
        END AS holds_at
    FROM judged
    LEFT JOIN corrected USING (claim, part, test_set)
    LEFT JOIN disagreements USING (claim, part, test_set)
),
whole_claims AS (
    -- Verdict of a claim: that on which its testable parts agree.
    SELECT
        claim,
        CASE
            WHEN bool_and(verdict = 'not testable') THEN 'not testable'
            WHEN bool_and(verdict IN ('supported', 'not testable')) THEN 'supported'
            WHEN bool_and(verdict IN ('contradicted', 'not testable')) THEN 'contradicted'
            WHEN bool_or(verdict = 'mixed') THEN 'mixed'
            WHEN bool_or(verdict = 'supported') AND bool_or(verdict = 'contradicted') THEN 'mixed'
            ELSE 'undecided'
        END AS claim_verdict,
        -- At the level of the weakest part.
        CASE WHEN claim_verdict NOT IN ('not testable', 'undecided') THEN CASE
            WHEN bool_or(holds_at = 'this row alone') THEN 'this row alone'
            ELSE 'all claims together' END END AS claim_holds_at
    FROM verdicts
    GROUP BY claim
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
    p_value,
    p_holm,
    verdict,
    holds_at,
    disagreeing,
    p_disagreement,
    p_disagreement_all,
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
        WHEN kind IN ('condition_difference', 'lesion_pair') THEN
            'one random draw, whose error is unknown'
        ELSE 'the statistic or its error does not exist: too few images, a model without errors, '
            || 'or models that no image distinguishes'
    END AS reason,
    claim_verdict,
    claim_holds_at,
    num_models,
    num_images,
    paper
FROM verdicts
JOIN whole_claims USING (claim)
ORDER BY claim[2:]::INTEGER, part, position;
