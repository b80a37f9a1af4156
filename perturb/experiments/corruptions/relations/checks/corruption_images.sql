-- Every model under test must have predictions of the same corrupted images, equally often.
FROM shared_test_sets
UNION ALL
FROM unequal_models
ORDER BY problem;
