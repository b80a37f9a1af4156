-- NEEDS confidence_values, measure_values
-- ADDS TO measure_values
INSERT INTO measure_values
SELECT 'calibration', model, value, low, high, num_images, NULL
FROM confidence_values
WHERE measure = 'calibration_error' AND test_set = 'clean' AND corruption_severity IS NULL;
