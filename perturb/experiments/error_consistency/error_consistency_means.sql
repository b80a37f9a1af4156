-- Mean error consistency over the pairs within a family, and between two.
WITH names AS (
    FROM (VALUES
        ('resnet', 'ResNets', 1),
        ('vit', 'ViTs', 2),
        ('other', 'Other networks', 3),
        ('human', 'Humans', 4)
    ) AS l (family, family_name, place)
)
SELECT
    labels.test_set,
    labels.test_set_label,
    CASE WHEN a.place <= b.place THEN a.family_name ELSE b.family_name END AS one_family,
    CASE WHEN a.place <= b.place THEN b.family_name ELSE a.family_name END AS other_family_name,
    num_pairs AS num_model_pairs,
    num_images,
    num_conditions,
    observed AS observed_agreement,
    expected AS expected_agreement,
    kappa,
    greatest(-1, kappa - contrast_half_width(0, d2, d4, num_images, reach)) AS kappa_low,
    least(1, kappa + contrast_half_width(0, d2, d4, num_images, reach)) AS kappa_high,
    least AS least_kappa,
    most AS most_kappa
FROM error_kappas AS k
JOIN consistency_sets AS labels USING (test_set)
JOIN names AS a ON a.family = k.one
JOIN names AS b ON b.family = k.other
WHERE k.kind = 'families'
ORDER BY
    labels.position, labels.test_set, least(a.place, b.place), greatest(a.place, b.place);
