-- NEEDS image_outcomes
-- ADDS TO image_outcomes
-- The worst of the rotations and translations of the grid, as a test set.
INSERT INTO image_outcomes
SELECT 'spatial', dataset, model, image, 1, is_correct::INTEGER
FROM short_predictions
WHERE perturbation = 'spatial' AND condition = 'grid';
