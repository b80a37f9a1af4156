-- NEEDS cue_outcomes, shape_values, measure_values
-- ADDS TO measure_values
INSERT INTO measure_values
SELECT 'shape_bias', model, shape_bias, shape_bias_low, shape_bias_high, num_images, NULL
FROM cue_rates
WHERE shape_class IS NULL AND shape_bias IS NOT NULL;

INSERT INTO paired_measures
SELECT measure, measure_label, position, 0, true, 'shape_bias_outcomes'
FROM study_measures
WHERE measure = 'shape_bias' AND 'shape_bias' IN (SELECT measure FROM measure_values);

CREATE TEMP VIEW shape_bias_outcomes AS
SELECT 'shape_bias' AS measure, model, image, value, 1 AS num_predictions
FROM image_values
WHERE test_set = 'cue_conflict' AND value IS NOT NULL;

INSERT INTO measure_ranges
SELECT 'shape_bias', model, lowest, highest
FROM value_ranges
WHERE test_set = 'cue_conflict' AND lowest IS NOT NULL;
