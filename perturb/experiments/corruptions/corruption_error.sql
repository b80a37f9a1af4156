-- Mean accuracy, mCE and relative mCE of every model.
SELECT
    m.model,
    m.architecture_label,
    m.pretraining_label,
    m.num_parameters,
    m.is_reference,
    s.* EXCLUDE (model)
FROM corruption_scores AS s
JOIN labelled_models AS m USING (model)
ORDER BY m.is_reference, m.pretraining_rank, m.family, m.num_parameters, m.model;
