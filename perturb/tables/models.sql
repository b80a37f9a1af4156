-- The models, as in the paper's Table 1.
SELECT
    model,
    architecture_label,
    family,
    size,
    patch_size,
    num_blocks,
    grid_side,
    num_parameters,
    pretraining,
    pretraining_label,
    pretraining_rank,
    pretraining_images,
    is_reference,
    timm_tag
FROM labelled_models
ORDER BY is_reference, pretraining_rank, family, num_parameters, model;
