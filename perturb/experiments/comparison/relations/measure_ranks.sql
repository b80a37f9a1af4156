-- NEEDS pair_intervals
-- The rank of every entry by every measure, and between which ranks it is by the intervals of its
-- differences to all others: each at 95 %, not corrected for their number. Where a value is only
-- known to be above a lower end, the order of values is not known, and no entry has a rank.
CREATE TEMP VIEW measure_ranks AS
WITH sides AS (
    SELECT measure, place_a AS place, estimate, low, high FROM pair_intervals
    UNION ALL
    SELECT measure, place_b, -estimate, -high, -low FROM pair_intervals
),
signed AS (
    SELECT
        measure,
        place,
        CASE WHEN is_better_high THEN estimate ELSE -estimate END AS estimate,
        CASE WHEN is_better_high THEN low ELSE -high END AS low,
        CASE WHEN is_better_high THEN high ELSE -low END AS high
    FROM sides
    JOIN study_measures USING (measure)
),
counts AS (
    SELECT
        measure,
        place,
        -- Sums of one order and another may differ in their last digits.
        count(*) FILTER (estimate < -1e-12) AS num_above,
        count(*) FILTER (high < 0) AS num_better,
        count(*) FILTER (low > 0) AS num_worse
    FROM signed
    GROUP BY measure, place
)
SELECT
    v.measure,
    v.entry,
    CASE WHEN NOT bool_or(is_bound) OVER (PARTITION BY v.measure)
        THEN 1 + coalesce(num_above, 0) END AS rank,
    1 + coalesce(num_better, 0) AS rank_low,
    count(*) OVER (PARTITION BY v.measure) - coalesce(num_worse, 0) AS rank_high
FROM entry_values AS v
JOIN study_measures ON study_measures.measure = v.measure AND is_better_high IS NOT NULL
LEFT JOIN counts ON counts.measure = v.measure AND counts.place = v.place;
