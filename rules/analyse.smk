# REQUIRED INPUTS  {results}/stores/{dataset}/, {results}/checkpoints/{model}/
# OUTPUTS          {results}/analyses/patterns.parquet, patterns.png, correlations.parquet
if STUDY.patterns:

    rule measure_patterns:
        """Measure and draw what adversarial perturbations look like, model beside model."""
        input:
            images=PATHS.images(STUDY.patterns.dataset),
            manifest=PATHS.manifest(STUDY.patterns.dataset),
            weights=[PATHS.weights(model) for model in STUDY.benchmark_models],
            cards=[PATHS.card(model) for model in STUDY.benchmark_models],
        output:
            table=PATHS.patterns,
            sheet=report(
                PATHS.pattern_sheet,
                caption="../perturb/experiments/perturbation_patterns/picture.rst",
                category="Images",
                labels={"data set": "adversarial perturbations"},
            ),
        log:
            PATHS.log("measure_patterns"),
        conda:
            "../envs/perturb.yaml"
        threads: 1
        resources:
            **needs("measure_patterns"),
        params:
            patterns=lambda wildcards: params.measured_patterns(STUDY),
        script:
            "../scripts/measure_patterns.py"


if STUDY.correlations:
    # The store of each model, model after model: each sees the images in its own view.
    CORRELATED = [
        store_of(STUDY, STUDY.correlations.dataset, model)
        for model in params.correlated_models(STUDY)
    ]

    rule correlate_layers:
        """Measure how alike the outputs of a network's blocks are, model after model."""
        input:
            images=[PATHS.images(store) for store in CORRELATED],
            manifests=[PATHS.manifest(store) for store in CORRELATED],
            weights=[PATHS.weights(model) for model in params.correlated_models(STUDY)],
            cards=[PATHS.card(model) for model in params.correlated_models(STUDY)],
        output:
            PATHS.correlations,
        log:
            PATHS.log("correlate_layers"),
        conda:
            "../envs/perturb.yaml"
        threads: 1
        resources:
            **needs("correlate_layers"),
        params:
            correlations=lambda wildcards: params.measured_correlations(STUDY),
        script:
            "../scripts/correlate_layers.py"
