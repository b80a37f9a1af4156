# REQUIRED INPUTS  {results}/stores/{dataset}/, {results}/checkpoints/{model}/
# OUTPUTS          {results}/analyses/patterns.parquet, patterns.png
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
                caption="../report/patterns.rst",
                category="Images",
                labels={"data set": "adversarial perturbations"},
            ),
        log:
            PATHS.log("measure_patterns"),
        conda:
            "../envs/perturb.yaml"
        threads: 1
        resources:
            gpu=GPUS,
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            patterns=jobs.measured_patterns(STUDY),
        script:
            "../scripts/measure_patterns.py"
