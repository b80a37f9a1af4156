-- NEEDS image_outcomes
-- What models are compared by, test set by test set: a value of each model, and for each image a
-- value whose mean over the images is the model's. Intervals come from the images' values.
CREATE TEMP TABLE model_values AS
SELECT test_set, model, sum(num_correct) / sum(num_predictions) AS value
FROM image_outcomes
GROUP BY test_set, model;

CREATE TEMP TABLE image_values AS
SELECT test_set, model, image, num_correct / num_predictions AS value
FROM image_outcomes;

-- Between which values those of an image lie, if anything bounds them.
CREATE TEMP TABLE value_ranges AS
SELECT test_set, model, 0.0::DOUBLE AS lowest, 1.0::DOUBLE AS highest
FROM model_values;
