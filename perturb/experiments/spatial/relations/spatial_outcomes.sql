-- NEEDS image_outcomes
-- The worst of the rotations and translations of the grid, as a test set.
INSERT INTO image_outcomes
SELECT 'spatial', dataset::VARCHAR, model::VARCHAR, image_id, 1, is_correct::BIGINT
FROM predictions
WHERE perturbation = 'spatial' AND condition = 'grid';
