-- What an accuracy can be measured on, in the order of the paper's Figures 2 and 3, and what else
-- models are compared on. A data set without a role of its own stands under its id.
CREATE TEMP VIEW test_sets AS
SELECT test_set, test_set_label, position
FROM (VALUES
    ('clean', 'Clean', 1),
    ('renditions', 'Renditions', 3),
    ('natural_adversarial', 'Natural adversarial', 4),
    ('fgsm', 'FGSM', 6),
    ('pgd', 'PGD', 7),
    ('ensemble', 'Attack ensemble', 8),
    ('spatial', 'Adversarial spatial', 9),
    ('cue_conflict', 'Shape bias', 10),
    ('patterns', 'Perturbation patterns', 11),
    ('pearson_all', 'Layer correlations, all tokens', 12),
    ('pearson_cls', 'Layer correlations, class token', 13),
    ('lesions', 'Removed layers', 14),
    ('attention_distance', 'Restricted attention', 15),
    ('patch_cls', 'Patches apart', 16)
) AS named (test_set, test_set_label, position)
UNION ALL
SELECT
    'corruptions',
    CASE max(perturbation)
        WHEN 'corruptions_stored' THEN 'Corruptions (stored)'
        ELSE 'Corruptions' || coalesce(
            ' (JPEG ' || nullif(regexp_extract(max(perturbation), '[0-9]+$'), '') || ')', '')
    END,
    2
FROM cells
WHERE is_corruption(perturbation)
UNION ALL
SELECT dataset, label, 5
FROM datasets
WHERE role = 'other';
