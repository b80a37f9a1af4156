-- Accuracies with and without a JPEG pass, and on files that others corrupted, are different things,
-- and named apart.
CREATE TEMP MACRO is_corruption(id) AS
    id::VARCHAR IN (SELECT perturbation FROM perturbations WHERE experiment = 'corruptions');
