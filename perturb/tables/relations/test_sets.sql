-- What an accuracy can be measured on, in the order of the paper's Figure 2. A data set without
-- a role of its own stands under its id.
CREATE TEMP VIEW test_sets AS
SELECT test_set, test_set_label, position
FROM (VALUES
    ('clean', 'Clean', 1),
    ('corruptions', 'Corruptions', 2),
    ('renditions', 'Renditions', 3),
    ('natural_adversarial', 'Natural adversarial', 4)
) AS named (test_set, test_set_label, position)
UNION ALL
SELECT dataset, label, 5
FROM datasets
WHERE role = 'other';
