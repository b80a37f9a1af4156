-- Corruptions with and without a JPEG pass, and stored ones, are distinct perturbations.
CREATE TEMP MACRO is_corruption(id) AS
    id::VARCHAR IN (SELECT perturbation FROM perturbations WHERE experiment = 'corruptions');
