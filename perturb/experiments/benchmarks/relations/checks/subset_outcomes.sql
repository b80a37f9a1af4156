-- Only the decoded images determine the classes shown: a class index may list more of them, whose
-- logits would then compete in one convention without a single image of these classes.
SELECT
    'datasets: ' || subset || ' has images of ' || count(*) || ' classes, class_subset '
    || 'allowed ' || any_value(num_subset_classes) || '; expected: images of each' AS problem
FROM subset_classes
JOIN datasets ON datasets.dataset = subset_classes.subset
GROUP BY subset
HAVING count(*) <> any_value(num_subset_classes)
ORDER BY problem;
