-- Every interval of a study. docs/intervals.md has the formulas, their sources and their coverage;
-- quantiles are SciPy's (connection.py).

-- 97.5 % point of the standard normal distribution.
CREATE MACRO z95() AS 1.959963984540054;

-- Of a null, greatest() and least() return the bound.
CREATE MACRO at_least(bound, x) AS CASE WHEN x < bound THEN bound ELSE x END;
CREATE MACRO at_most(bound, x) AS CASE WHEN x > bound THEN bound ELSE x END;

-- Half-width for a mean over independent images with a value of any size each.
CREATE MACRO mean_half_width(x, key) AS
    student_quantile(0.975, nullif(count(x) - 1, 0)) * ordered_stddev(x, key) / sqrt(count(x));

-- Degrees of freedom of a sum of variances: those at which Student's quantile is the mean of the
-- normal one and that of the estimated variances, weighted by both (Cochran, Biometrics 20, 1964).
-- Of the estimated ones, of random draws and of training runs, the degrees are Satterthwaite's
-- (Biometrics Bulletin 2, 1946): the square of their sum over the sum of `freedom_part`s. What
-- images alone leave counts as known.
CREATE MACRO estimated_part(variance, freedom) AS
    CASE WHEN variance > 0 AND isfinite(freedom) THEN variance ELSE 0.0 END;
CREATE MACRO freedom_part(variance, freedom) AS
    coalesce(CASE WHEN variance > 0 THEN variance ** 2 / freedom END, 0.0);
CREATE MACRO total_freedom(variance, estimated, parts) AS
    CASE WHEN parts > 0 THEN student_freedom(0.975, z95()
        + estimated / variance * (student_quantile(0.975, estimated ** 2 / parts) - z95()))
    ELSE 'Infinity'::DOUBLE END;

-- The ends of an estimate with a centre, a variance and its degrees of freedom.
CREATE MACRO interval_low(centre, variance, freedom) AS
    centre - student_quantile(0.975, freedom) * sqrt(variance);
CREATE MACRO interval_high(centre, variance, freedom) AS
    centre + student_quantile(0.975, freedom) * sqrt(variance);

-- Wilson's score interval for k successes in n independent trials (Wilson, JASA 1927).
CREATE MACRO wilson_centre(k, n) AS (k + z95() * z95() / 2) / (n + z95() * z95());
CREATE MACRO wilson_half_width(k, n) AS
    z95() * sqrt(k::DOUBLE * (n - k) / n + z95() * z95() / 4) / (n + z95() * z95());
CREATE MACRO wilson_low(k, n) AS
    CASE WHEN k = 0 THEN 0.0 ELSE wilson_centre(k, n) - wilson_half_width(k, n) END;
CREATE MACRO wilson_high(k, n) AS
    CASE WHEN k = n THEN 1.0 ELSE wilson_centre(k, n) + wilson_half_width(k, n) END;

-- A fraction p of as much evidence as n independent trials. Wilson's interval of a fraction of
-- almost 1 ends below the truth too often; there its upper end is Agresti and Coull's (American
-- Statistician 52, 1998), as is the lower one of a fraction of almost 0.
CREATE MACRO agresti_half_width(centre, n) AS
    z95() * sqrt(centre * (1 - centre) / (n + z95() ** 2));
CREATE MACRO fraction_low(p, n) AS
    CASE WHEN p = 0 THEN 0.0 WHEN p > 0.5 THEN wilson_low(p * n, n)
    ELSE at_least(0.0, wilson_centre(p * n, n) - agresti_half_width(wilson_centre(p * n, n), n)) END;
CREATE MACRO fraction_high(p, n) AS 1 - fraction_low(1 - p, n);

-- Images that give k of n predictions right, together and each for itself: the images are
-- independent, the predictions on one image are not. How many independent predictions have as much evidence:
-- p (1 - p) over the variance of p, by the delta method for the ratio of two sums. That variance is
-- uncertain where few images are wrong, so that z^2 images join for it, half of them with all
-- predictions right and half with none. Independent predictions are the most that there can be.
-- The arguments are sums of k, n, k * k, k * n and n * n over the images. A list of one structure
-- names what is used several times: a macro's arguments are written out wherever they stand.
CREATE MACRO residual_around(p, kk, kn, nn, num_images) AS
    kk - 2 * p * kn + p ** 2 * nn + z95() ** 2 / 2 * (p ** 2 + (1 - p) ** 2) * nn / num_images;
CREATE MACRO effective_predictions(k, n, kk, kn, nn, num_images) AS
    list_transform(
        [{'p': wilson_centre(k / n * num_images, num_images),
            'n': n, 'kk': kk, 'kn': kn, 'nn': nn, 'images': num_images}],
        lambda of: of.p * (1 - of.p) * (of.images + z95() ** 2) * of.n ** 2
            / (of.images * residual_around(of.p, of.kk, of.kn, of.nn, of.images))
    )[1];
CREATE MACRO evidence(k, n, kk, kn, nn, num_images) AS [{
    'p': k / n, 'n': at_most(n, effective_predictions(k, n, kk, kn, nn, num_images))}];
CREATE MACRO ratio_low(k, n, kk, kn, nn, num_images) AS
    CASE WHEN n = num_images THEN wilson_low(k, n) ELSE list_transform(
        evidence(k, n, kk, kn, nn, num_images), lambda of: fraction_low(of.p, of.n))[1] END;
CREATE MACRO ratio_high(k, n, kk, kn, nn, num_images) AS
    CASE WHEN n = num_images THEN wilson_high(k, n) ELSE list_transform(
        evidence(k, n, kk, kn, nn, num_images), lambda of: fraction_high(of.p, of.n))[1] END;

-- The same for images with as many predictions each, from sums of k and of k * k alone.
CREATE MACRO accuracy_low(sum_k, sum_k2, num_images, predictions) AS
    ratio_low(sum_k, num_images::DOUBLE * predictions, sum_k2, sum_k::DOUBLE * predictions,
        num_images * predictions ** 2, num_images);
CREATE MACRO accuracy_high(sum_k, sum_k2, num_images, predictions) AS
    ratio_high(sum_k, num_images::DOUBLE * predictions, sum_k2, sum_k::DOUBLE * predictions,
        num_images * predictions ** 2, num_images);

-- The mean of a value from 0 to 1 of each image, as a centre and a variance (Agresti and Coull's),
-- from sums of the value and of its square.
CREATE MACRO bounded_evidence(sum_y, sum_y2, num_images) AS [{
    'p': sum_y / num_images,
    'n': effective_predictions(sum_y, num_images, sum_y2, sum_y, num_images, num_images)}];
CREATE MACRO bounded_centre(sum_y, sum_y2, num_images) AS list_transform(
    bounded_evidence(sum_y, sum_y2, num_images), lambda of: wilson_centre(of.p * of.n, of.n))[1];
CREATE MACRO bounded_variance(sum_y, sum_y2, num_images) AS list_transform(
    bounded_evidence(sum_y, sum_y2, num_images),
    lambda of: (agresti_half_width(wilson_centre(of.p * of.n, of.n), of.n) / z95()) ** 2)[1];

-- An accuracy over random draws on the same images: its interval over the images, and the variance
-- of the mean over the draws, s^2 / draws. The squared distances to an end add up (Zou and Donner,
-- Statistics in Medicine 27, 2008), and Student's quantile replaces the normal one. A single draw
-- has no variance, and no draw is one if all that exist are run.
CREATE MACRO drawn_reach(reach, draws_variance, draws) AS
    CASE WHEN draws_variance > 0 THEN list_transform(
        [{'images': (reach / z95()) ** 2, 'draws': draws_variance, 'freedom': draws - 1}],
        lambda of: sqrt(of.images + of.draws) * student_quantile(0.975, total_freedom(
            of.images + of.draws, of.draws, freedom_part(of.draws, of.freedom))))[1]
    ELSE reach END;
CREATE MACRO drawn_low(estimate, low, draws_variance, draws) AS
    at_least(0.0, estimate - drawn_reach(estimate - low, draws_variance, draws));
CREATE MACRO drawn_high(estimate, high, draws_variance, draws) AS
    at_most(1.0, estimate + drawn_reach(high - estimate, draws_variance, draws));

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

-- A comparison on the same images: image i has the value d of the comparison, a weighted sum of what
-- the models did on it, which no image can take further from 0 than `reach`. Where few images differ,
-- the variance of d is uncertain, and 0 if none does. So z^2 images join, half of them at +scale and
-- half at -scale: Agresti and Min (Statistics in Medicine 24, 2005), with the weight that makes the
-- interval of no difference end where Wilson's does. The scale is the size of the values that make
-- the variance: 1 for one pair of models, less for a mean over many predictions. A hundredth of an
-- image at the reach sets it where nothing differs, and is soon outweighed where something does.
CREATE MACRO contrast_scale2(sum_d2, sum_d4, reach) AS
    (sum_d4 + 0.01 * reach ** 4) / (sum_d2 + 0.01 * reach ** 2);
CREATE MACRO contrast_centre(sum_d, num_images) AS sum_d / (num_images + z95() ** 2);
CREATE MACRO contrast_variance(sum_d, sum_d2, sum_d4, num_images, reach) AS
    at_least(0, (sum_d2 + z95() ** 2 * contrast_scale2(sum_d2, sum_d4, reach))
        / (num_images + z95() ** 2) - contrast_centre(sum_d, num_images) ** 2)
    / (num_images + z95() ** 2);
CREATE MACRO contrast_half_width(sum_d, sum_d2, sum_d4, num_images, reach) AS
    z95() * sqrt(contrast_variance(sum_d, sum_d2, sum_d4, num_images, reach));
CREATE MACRO contrast_low(sum_d, sum_d2, sum_d4, num_images, reach) AS
    at_least(-reach, contrast_centre(sum_d, num_images)
        - contrast_half_width(sum_d, sum_d2, sum_d4, num_images, reach));
CREATE MACRO contrast_high(sum_d, sum_d2, sum_d4, num_images, reach) AS
    at_most(reach, contrast_centre(sum_d, num_images)
        + contrast_half_width(sum_d, sum_d2, sum_d4, num_images, reach));

-- Half-width for a ratio or another line drawn at its estimate: x is what an image adds to it, and
-- counts by its distance from the mean.
CREATE MACRO line_half_width(x, key, reach) AS list_transform(
    [{'x': list(x::DOUBLE ORDER BY key), 'mean': ordered_mean(x, key), 'reach': reach}],
    lambda of: contrast_half_width(
        0,
        list_sum(list_transform(of.x, lambda value: (value - of.mean) ** 2)),
        list_sum(list_transform(of.x, lambda value: (value - of.mean) ** 4)),
        len(of.x),
        of.reach))[1];

-- Of a ratio of two means, how far Fieller's interval reaches to a side, +1 or -1, in half-widths of
-- the delta method (Fieller, JRSS B 16, 1954): further, and more so upwards, the less sure the mean
-- below is. Null if that is within z of its standard errors of 0: then nothing bounds the ratio.
CREATE MACRO fieller_stretch(side, ratio, below, variance_above, covariance, variance_below) AS
    list_transform([{
        'q': ratio,
        'g': z95() ** 2 * variance_below / below ** 2,
        'd': below,
        'cov': covariance,
        'line': variance_above - 2 * ratio * covariance + ratio ** 2 * variance_below,
        'lost': z95() ** 2 / below ** 2 * (variance_above * variance_below - covariance ** 2),
    }], lambda of: CASE
        WHEN of.g >= 1 THEN NULL
        WHEN of.line <= 0 THEN 1.0
        ELSE (sqrt(at_least(0, of.line - of.lost)) + side * of.d / z95()
            * (of.q * of.g - z95() ** 2 * of.cov / of.d ** 2)) / (1 - of.g) / sqrt(of.line)
    END)[1];

-- The difference of two accuracies, from sums over the images of what one predicts correctly more
-- often than the other, of `predictions` each.
CREATE MACRO difference_low(sum_d, sum_d2, sum_d4, num_images, predictions) AS
    contrast_low(sum_d / predictions, sum_d2 / predictions ** 2, sum_d4 / predictions ** 4,
        num_images, 1);
CREATE MACRO difference_high(sum_d, sum_d2, sum_d4, num_images, predictions) AS
    contrast_high(sum_d / predictions, sum_d2 / predictions ** 2, sum_d4 / predictions ** 4,
        num_images, 1);

-- The same from the images' own differences, from -1 to 1.
CREATE MACRO paired_low(d, key) AS contrast_low(
    ordered_sum(d, key), ordered_sum(d ** 2, key), ordered_sum(d ** 4, key), count(d), 1);
CREATE MACRO paired_high(d, key) AS contrast_high(
    ordered_sum(d, key), ordered_sum(d ** 2, key), ordered_sum(d ** 4, key), count(d), 1);
