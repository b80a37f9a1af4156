-- Accuracies with and without a JPEG pass, and on files that others corrupted, are different things,
-- and named apart.
CREATE TEMP MACRO is_corruption(perturbation) AS
    perturbation IN ('corruptions', 'corruptions_stored')
    OR starts_with(perturbation::VARCHAR, 'corruptions_jpeg');
