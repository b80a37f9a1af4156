-- The number of pre-training images at which the curve of a ViT reaches that of its ResNet: between
-- two sets the difference is interpolated in log10(images). Its interval follows from the difference
-- of every image, interpolated alike, so that what both models share cancels. The crossing is the
-- last place where the ViT is behind, and the ends of its interval are the last places where it is
-- behind with certainty and where it is not ahead with certainty.
WITH segments AS (
    SELECT
        a.test_set,
        a.vit,
        a.resnet,
        a.pretraining_images AS from_images,
        b.pretraining_images AS to_images,
        count(*) AS n,
        ordered_sum(a.difference, a.image) AS a1,
        ordered_sum(b.difference, a.image) AS b1,
        ordered_sum(a.difference ** 2, a.image) AS a2,
        ordered_sum(a.difference * b.difference, a.image) AS ab,
        ordered_sum(b.difference ** 2, a.image) AS b2,
        ordered_sum(a.difference ** 4, a.image) AS a4,
        ordered_sum(a.difference ** 3 * b.difference, a.image) AS a3b,
        ordered_sum(a.difference ** 2 * b.difference ** 2, a.image) AS a2b2,
        ordered_sum(a.difference * b.difference ** 3, a.image) AS ab3,
        ordered_sum(b.difference ** 4, a.image) AS b4
    FROM data_differences AS a
    JOIN (
        SELECT
            vit,
            resnet,
            pretraining_images,
            lead(pretraining_images) OVER (
                PARTITION BY vit, resnet
                ORDER BY pretraining_images
            ) AS next_images
        FROM (SELECT DISTINCT vit, resnet, pretraining_images FROM data_pairs)
    ) AS sets USING (vit, resnet, pretraining_images)
    JOIN data_differences AS b
        ON b.test_set = a.test_set
        AND b.vit = a.vit
        AND b.resnet = a.resnet
        AND b.pretraining_images = sets.next_images
        AND b.image = a.image
    GROUP BY ALL
),
-- A hundred places in each segment; t is the share of the way, u what is left of it.
places AS (
    SELECT
        s.test_set,
        s.vit,
        s.resnet,
        n,
        log10(from_images) * u + log10(to_images) * t AS x,
        u * a1 + t * b1 AS sum_d,
        u ** 2 * a2 + 2 * u * t * ab + t ** 2 * b2 AS sum_d2,
        u ** 4 * a4 + 4 * u ** 3 * t * a3b + 6 * u ** 2 * t ** 2 * a2b2 + 4 * u * t ** 3 * ab3
            + t ** 4 * b4 AS sum_d4,
        u ** 2 * r.run_variance + t ** 2 * next.run_variance AS run_variance,
        u ** 4 * r.run_parts + t ** 4 * next.run_parts AS run_parts
    FROM segments AS s
    JOIN data_run_variances AS r
        ON r.test_set = s.test_set
        AND r.vit = s.vit
        AND r.resnet = s.resnet
        AND r.pretraining_images = s.from_images
    JOIN data_run_variances AS next
        ON next.test_set = s.test_set
        AND next.vit = s.vit
        AND next.resnet = s.resnet
        AND next.pretraining_images = s.to_images
    CROSS JOIN (SELECT step / 100 AS t, 1 - step / 100 AS u FROM range(101) AS steps (step))
),
variances AS (
    SELECT
        *,
        contrast_centre(sum_d, n) AS centre,
        contrast_variance(sum_d, sum_d2, sum_d4, n, 1) + run_variance AS variance
    FROM places
),
freedoms AS (
    SELECT *, total_freedom(variance, run_variance, run_parts) AS freedom
    FROM variances
),
curves AS (
    SELECT DISTINCT
        test_set,
        vit,
        resnet,
        n,
        x,
        unnest(['crossing', 'low', 'high']) AS part,
        unnest([
            sum_d / n,
            at_most(1, interval_high(centre, variance, freedom)),
            at_least(-1, interval_low(centre, variance, freedom))
        ]) AS y
    FROM freedoms
),
steps AS (
    SELECT
        *,
        lead(x) OVER curve AS next_x,
        lead(y) OVER curve AS next_y,
        first_value(y) OVER curve AS first_y,
        last_value(y) OVER (
            curve ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last_y
    FROM curves
    WINDOW curve AS (PARTITION BY test_set, vit, resnet, part ORDER BY x, y)
),
-- Of each curve the last place below 0: minus infinity if there is none, infinity if it is the last.
zeros AS (
    SELECT
        test_set,
        vit,
        resnet,
        part,
        any_value(n) AS n,
        any_value(first_y) AS first_y,
        any_value(last_y) AS last_y,
        coalesce(
            max(CASE
                WHEN y < 0 AND next_y IS NULL THEN 'infinity'::DOUBLE
                WHEN y < 0 AND next_y >= 0 THEN x - (next_x - x) * y / (next_y - y) END),
            '-infinity'::DOUBLE) AS x
    FROM steps
    GROUP BY test_set, vit, resnet, part
),
sets AS (
    SELECT
        vit,
        resnet,
        count(DISTINCT pretraining_images) AS num_sets,
        min(pretraining_images) AS smallest_images,
        max(pretraining_images) AS largest_images
    FROM data_pairs
    GROUP BY vit, resnet
),
words AS (
    SELECT
        z.*,
        s.num_sets,
        s.smallest_images,
        s.largest_images,
        CASE WHEN isfinite(z.x) THEN round(10 ** z.x) END AS images,
        CASE
            WHEN isfinite(z.x) THEN format('{:,}', round(10 ** z.x, 1 - floor(z.x)::INTEGER)::BIGINT)
            WHEN z.x > 0 THEN format('beyond {:,}', s.largest_images)
            ELSE format('below {:,}', s.smallest_images)
        END AS word
    FROM zeros AS z
    JOIN sets AS s USING (vit, resnet)
)
SELECT
    test_sets.test_set,
    test_sets.test_set_label,
    vit.label AS vit_label,
    resnet.label AS resnet_label,
    vit.size,
    vit.num_parameters / resnet.num_parameters AS parameter_ratio,
    c.num_sets,
    c.smallest_images,
    c.largest_images,
    c.first_y AS smallest_difference,
    high.first_y AS smallest_difference_low,
    low.first_y AS smallest_difference_high,
    c.last_y AS largest_difference,
    high.last_y AS largest_difference_low,
    low.last_y AS largest_difference_high,
    c.word AS crossing,
    CASE WHEN low.word = high.word THEN low.word ELSE low.word || ' to ' || high.word END
        AS crossing_interval,
    c.images AS crossing_images,
    low.images AS crossing_images_low,
    high.images AS crossing_images_high,
    c.n AS num_images
FROM words AS c
JOIN words AS low
    ON low.test_set = c.test_set
    AND low.vit = c.vit
    AND low.resnet = c.resnet
    AND low.part = 'low'
JOIN words AS high
    ON high.test_set = c.test_set
    AND high.vit = c.vit
    AND high.resnet = c.resnet
    AND high.part = 'high'
JOIN test_sets ON test_sets.test_set = c.test_set
JOIN scaled_architectures AS vit ON vit.architecture = c.vit
JOIN scaled_architectures AS resnet ON resnet.architecture = c.resnet
WHERE c.part = 'crossing'
    AND test_sets.experiment IN ('benchmarks', 'corruptions', 'attacks', 'spatial')
ORDER BY
    test_sets.position, test_sets.test_set, vit.num_parameters, c.vit, c.resnet;
