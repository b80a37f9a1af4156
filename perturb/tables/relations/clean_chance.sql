-- Clean accuracy of each model and the accuracy at chance. Chance is the accuracy of a constant
-- prediction of the most frequent class of the dataset: one over the number of classes if all are
-- equally frequent, and more otherwise. With one class this prediction is always correct, so chance
-- is set to 0. A model is at chance if the lower end of Wilson's interval is not above it; a model
-- that is correct on every image never is, for any number of images.
CREATE TEMP VIEW clean_chance AS
WITH classes AS (
    SELECT
        predictions.model::VARCHAR AS model,
        predictions.target,
        count(*) AS num_images,
        count(*) FILTER (predictions.is_correct) AS num_correct
    FROM predictions
    JOIN datasets ON datasets.dataset = predictions.dataset
    WHERE predictions.perturbation = 'none' AND datasets.role = 'clean'
    GROUP BY ALL
),
counted AS (
    SELECT
        model,
        sum(num_images)::BIGINT AS num_images,
        sum(num_correct)::BIGINT AS num_correct,
        CASE WHEN count(*) > 1 THEN max(num_images) / sum(num_images) ELSE 0 END::DOUBLE AS chance
    FROM classes
    GROUP BY model
)
SELECT
    model,
    num_images,
    num_correct / num_images AS clean_top1,
    wilson_low(num_correct, num_images) AS clean_top1_low,
    wilson_high(num_correct, num_images) AS clean_top1_high,
    chance,
    CASE WHEN num_correct < num_images AND wilson_low(num_correct, num_images) <= chance
        THEN 'labels, classes or preprocessing may not match'
    END AS warning
FROM counted;
