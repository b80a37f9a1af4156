-- Names, and sums that come out the same to the last bit; intervals are in intervals.sql.
--
-- Counts are integers and may be added in any order. Floating-point values are collected in a
-- stated order before they are added, so that threads and file order change no byte of a table.

-- Epsilon in gray levels; rounded, since it was written as a fraction of 255.
CREATE MACRO epsilon_gray(epsilon) AS round(epsilon * 255, 6);

-- A model and its pre-training set, if it has one.
CREATE MACRO name_with_set(label, set_label, before := ' (', after := ')') AS
    label || coalesce(before || nullif(set_label, '') || after, '');

CREATE MACRO ordered_sum(x, key) AS list_sum(list(x::DOUBLE ORDER BY key));
CREATE MACRO ordered_mean(x, key) AS ordered_sum(x, key) / count(x);
CREATE MACRO ordered_stddev(x, key) AS list_aggregate(list(x::DOUBLE ORDER BY key), 'stddev_samp');
