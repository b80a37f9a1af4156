-- Every interval of a study. docs/intervals.md has the formulas, their sources and their coverage;
-- quantiles are SciPy's (connection.py).

-- 97.5 % point of the standard normal distribution.
CREATE MACRO z95() AS 1.959963984540054;

-- Half-width for a mean over independent images with a value each.
CREATE MACRO mean_half_width(x, key) AS z95() * ordered_stddev(x, key) / sqrt(count(x));

-- Wilson's score interval for k successes in n independent trials (Wilson, JASA 1927).
CREATE MACRO wilson_centre(k, n) AS (k + z95() * z95() / 2) / (n + z95() * z95());
CREATE MACRO wilson_half_width(k, n) AS
    z95() * sqrt(k * (n - k) / n::DOUBLE + z95() * z95() / 4) / (n + z95() * z95());
CREATE MACRO wilson_low(k, n) AS
    CASE WHEN k = 0 THEN 0.0 ELSE wilson_centre(k, n) - wilson_half_width(k, n) END;
CREATE MACRO wilson_high(k, n) AS
    CASE WHEN k = n THEN 1.0 ELSE wilson_centre(k, n) + wilson_half_width(k, n) END;

-- Half-width for a mean over images that each give k of `predictions` predictions right: the images
-- are independent, the predictions on one image are not. From sums of k and of k * k alone.
CREATE MACRO clustered_half_width(sum_k, sum_k2, num_images, predictions) AS
    CASE WHEN num_images > 1 THEN
        z95() / predictions * sqrt(
            greatest(0, num_images::DOUBLE * sum_k2 - sum_k::DOUBLE * sum_k)
            / (num_images - 1.0)) / num_images
    END;

-- One interval for both cases: Wilson's if there is one prediction per image, else the clustered one.
-- The clustered interval has zero width if all predictions are correct or all wrong: then Wilson's
-- replaces it, with each image as one prediction.
CREATE MACRO accuracy_low(sum_k, sum_k2, num_images, predictions) AS
    CASE WHEN predictions = 1 THEN wilson_low(sum_k, num_images)
    WHEN sum_k = num_images * predictions THEN wilson_low(num_images, num_images)
    ELSE greatest(0.0, sum_k / (num_images * predictions)
        - clustered_half_width(sum_k, sum_k2, num_images, predictions)) END;
CREATE MACRO accuracy_high(sum_k, sum_k2, num_images, predictions) AS
    CASE WHEN predictions = 1 THEN wilson_high(sum_k, num_images)
    WHEN sum_k = 0 THEN wilson_high(0, num_images)
    ELSE least(1.0, sum_k / (num_images * predictions)
        + clustered_half_width(sum_k, sum_k2, num_images, predictions)) END;

-- The same for images with different numbers of predictions, k of n correct, from the sums of
-- k, n, k * k, k * n and n * n over the images: delta method for the ratio of two sums.
CREATE MACRO ratio_half_width(k, n, kk, kn, nn, num_images) AS
    CASE WHEN num_images > 1 THEN
        z95() * sqrt(greatest(0, kk - 2 * (k / n) * kn + (k / n) * (k / n) * nn)
            * num_images / (num_images - 1)) / n
    END;
CREATE MACRO ratio_low(k, n, kk, kn, nn, num_images) AS
    CASE WHEN k = n THEN wilson_low(num_images, num_images)
    ELSE greatest(0.0, k / n - ratio_half_width(k, n, kk, kn, nn, num_images)) END;
CREATE MACRO ratio_high(k, n, kk, kn, nn, num_images) AS
    CASE WHEN k = 0 THEN wilson_high(0, num_images)
    ELSE least(1.0, k / n + ratio_half_width(k, n, kk, kn, nn, num_images)) END;

-- How far a difference reaches to one side of its estimate, from how far its two values do, each on
-- `num` images drawn from a test set of `whole` (Newcombe, Statistics in Medicine 17, 1998, method
-- 10, with the correction for finite populations): what both have seen in full leaves no error.
CREATE MACRO unseen_fraction(num, whole) AS greatest(0, 1 - num / whole);
CREATE MACRO difference_reach(a_reach, num_a, b_reach, num_b, whole) AS
    sqrt(a_reach ** 2 * unseen_fraction(num_a, whole) + b_reach ** 2 * unseen_fraction(num_b, whole));

-- The one rule behind every verdict: the whole interval must lie on one side of the threshold.
CREATE MACRO verdict(low, high, side, threshold) AS
    CASE
        WHEN low IS NULL OR high IS NULL THEN 'not testable'
        WHEN side = 'above' AND low > threshold THEN 'supported'
        WHEN side = 'above' AND high < threshold THEN 'contradicted'
        WHEN side = 'below' AND high < threshold THEN 'supported'
        WHEN side = 'below' AND low > threshold THEN 'contradicted'
        ELSE 'undecided'
    END;

-- The point that a standard normal variable exceeds with probability p < 0.075; seven digits
-- (Wichura, Applied Statistics 37, 1988, algorithm AS 241, routine PPND7).
CREATE MACRO tail_root(p) AS sqrt(-ln(p)) - 1.6;
CREATE MACRO normal_quantile(p) AS
    (((0.17023821103 * tail_root(p) + 1.3067284816) * tail_root(p) + 2.7568153900)
        * tail_root(p) + 1.4234372777)
    / ((0.12021132975 * tail_root(p) + 0.73700164250) * tail_root(p) + 1);

-- A comparison on the same images: image i has the value d of the comparison, a weighted sum of what
-- the models did on it, which no image can take further from 0 than `reach`. With few images on which
-- the models differ, the deviation of d is itself uncertain, and 0 if there is none. So z^2 images
-- are added, half of them at +scale and half at -scale: Agresti and Min (Statistics in Medicine 24,
-- 2005) with the weight that makes the interval of no difference end where Wilson's does. The scale
-- is the size of the values that make the variance: 1 for one pair of models, less for a mean over
-- many predictions; a tenth of an image at the reach is the scale where nothing differs.
CREATE MACRO contrast_scale2(sum_d2, sum_d4, reach) AS
    (sum_d4 + 0.1 * reach ** 4) / (sum_d2 + 0.1 * reach ** 2);
CREATE MACRO contrast_centre(sum_d, num_images) AS sum_d / (num_images + z95() ** 2);
CREATE MACRO contrast_variance(sum_d, sum_d2, sum_d4, num_images, reach) AS
    greatest(0, (sum_d2 + z95() ** 2 * contrast_scale2(sum_d2, sum_d4, reach))
        / (num_images + z95() ** 2) - contrast_centre(sum_d, num_images) ** 2)
    / (num_images + z95() ** 2);
