-- Every model under test must have decided on the same corrupted images, and equally often.
FROM shared_test_sets
UNION ALL
FROM unequal_models
ORDER BY problem;
