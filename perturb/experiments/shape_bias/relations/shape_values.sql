-- NEEDS cue_outcomes, image_values
-- ADDS TO image_values
-- Shape bias as a value by which models are compared. It is a ratio, S / (S + T), so the images'
-- values are those of the delta method: bias + n (s - bias (s + t)) / (S + T), where s and t are 1
-- if the prediction is the image's shape or texture class, else 0, and n is the number of images.
INSERT INTO model_values
SELECT 'cue_conflict', model, sum(is_shape) / nullif(sum(is_shape + is_texture), 0)
FROM cue_outcomes
GROUP BY model;

CREATE TEMP TABLE cue_counts AS
SELECT
    model,
    count(*) AS num_images,
    nullif(sum(is_shape + is_texture), 0) AS num_cues,
    sum(is_shape) / num_cues AS bias
FROM cue_outcomes
GROUP BY model;

INSERT INTO image_values
SELECT
    'cue_conflict',
    model,
    image,
    bias + num_images * (is_shape - bias * (is_shape + is_texture)) / num_cues
FROM cue_outcomes
JOIN cue_counts USING (model);

INSERT INTO value_ranges
SELECT
    'cue_conflict',
    model,
    bias - num_images * bias / num_cues,
    bias + num_images * (1 - bias) / num_cues
FROM cue_counts;
