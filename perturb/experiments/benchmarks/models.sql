-- Properties and clean accuracy of the models, as in the paper's Table 1.
SELECT
    model,
    entry,
    entry_label,
    run,
    num_runs,
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
    timm_tag,
    clean_chance.num_images,
    clean_chance.clean_top1,
    clean_chance.clean_top1_low,
    clean_chance.clean_top1_high,
    clean_chance.chance,
    clean_chance.warning
FROM labelled_models
LEFT JOIN clean_chance USING (model)
ORDER BY is_reference, pretraining_rank, family, num_parameters, entry, run;
