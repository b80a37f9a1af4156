-- What models can be compared on, in the declared order: that of the paper's Figures 2 and 3, then
-- what else they are compared on. A dataset without a role of its own stands under its id.
CREATE TEMP TABLE test_sets AS
SELECT test_set, test_set_label, position, experiment
FROM declared_test_sets
UNION ALL
SELECT dataset, label, 5, 'benchmarks'
FROM datasets
WHERE role = 'extra';
