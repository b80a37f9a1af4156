-- NEEDS corruption_outcomes
-- Sums of a model's predictions under a corruption over images and severities, for its accuracy,
-- its CE and their intervals.
CREATE TEMP TABLE corruption_sums AS
SELECT
    model::VARCHAR AS model,
    dataset::VARCHAR AS dataset,
    corruption,
    position,
    is_benchmark,
    num_severities::BIGINT AS num_severities,
    count(*) AS num_images,
    sum(num_severities - num_wrong) AS sum_right,
    sum((num_severities - num_wrong) ** 2) AS sum_right2,
    sum(num_wrong) AS sum_wrong,
    sum(num_wrong ** 2) AS sum_wrong2
FROM corruption_outcomes
JOIN corruptions USING (position)
GROUP BY model, dataset, corruption, position, is_benchmark, num_severities;
