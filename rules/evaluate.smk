# REQUIRED INPUTS  {results}/decoded/{dataset}/, {results}/checkpoints/{model}/
# OUTPUTS          {results}/receipts/{model}/{job}.json, and the files that these list:
#                  {results}/shards/{model}/{dataset}/{perturbation}/{severity}.parquet
#                  {results}/shards/{model}/{dataset}/transfer/{severity}/{source}.parquet
#                  {results}/measurements/{model}/{measurement}.parquet
#
# A job evaluates the missing files of its receipt. The list of cells is no parameter: removing a
# cell from the configuration repeats nothing, and adding one makes the receipt invalid, which plans
# its job (`perturb.plan.stale`). With `models_per_job` above 1 a job has cells of several models,
# and the name of the first.
rule evaluate:
    """Record predictions of models under some perturbations, or measurements of a model's layers."""
    input:
        unpack(lambda wildcards: job_stores(wildcards.model, wildcards.job)),
        unpack(lambda wildcards: job_checkpoints(wildcards.model, wildcards.job)),
        class_maps=lambda wildcards: class_maps(
            datasets_of_job(JOBS[wildcards.model, wildcards.job])
        ),
        stale=lambda wildcards: STALE.mark_of(
            PATHS.receipt(wildcards.model, wildcards.job)
        ),
    output:
        receipt=PATHS.receipt("{model}", "{job}"),
    log:
        PATHS.log("evaluate", "{model}", "{job}"),
    benchmark:
        PATHS.benchmark("evaluate", "{model}", "{job}")
    wildcard_constraints:
        job=ids({job.name for job in JOBS.values() if job.name != TRANSFER}),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        **GPU,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 480 * attempt,
    script:
        "../scripts/evaluate.py"


if TRANSFER in STUDY.perturbations:

    rule transfer_attacks:
        """Make adversarial images against one model, and record every model's predictions on them."""
        input:
            unpack(lambda wildcards: job_stores(wildcards.source, TRANSFER)),
            unpack(lambda wildcards: job_checkpoints(wildcards.source, TRANSFER)),
            stale=lambda wildcards: STALE.mark_of(
                PATHS.receipt(wildcards.source, TRANSFER)
            ),
        output:
            receipt=PATHS.receipt("{source}", TRANSFER),
        log:
            PATHS.log("transfer_attacks", "{source}"),
        benchmark:
            PATHS.benchmark("transfer_attacks", "{source}")
        wildcard_constraints:
            source=ids(STUDY.benchmark_models),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **GPU,
            mem_mb=lambda wildcards, attempt: 12000 * attempt,
            runtime=lambda wildcards, attempt: 240 * attempt,
        script:
            "../scripts/transfer_attacks.py"


if STUDY.patterns:

    rule draw_patterns:
        """Draw the adversarial perturbations of several models side by side."""
        input:
            images=PATHS.images(STUDY.patterns.dataset),
            manifest=PATHS.manifest(STUDY.patterns.dataset),
            measurements=SOURCES.of_files(
                PATHS.measurement(model, "perturbation_patterns")
                for model in STUDY.patterns.shown_models
            ),
            stale=lambda wildcards: STALE.mark_of(PATHS.pattern_sheet),
        output:
            report(
                PATHS.pattern_sheet,
                caption="../perturb/experiments/perturbation_patterns/picture.rst",
                category="Images",
                labels={"dataset": "adversarial perturbations"},
            ),
        log:
            PATHS.log("draw_patterns"),
        benchmark:
            PATHS.benchmark("draw_patterns")
        conda:
            "../envs/torch.yaml"
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 10 * attempt,
        params:
            patterns=lambda wildcards: asdict(STUDY.patterns),
            # A function, because Snakemake reads braces in texts as wildcards.
            shown=lambda wildcards: params.titles(
                STUDY,
                [STUDY.models[model] for model in STUDY.patterns.shown_models],
            ),
        script:
            "../scripts/draw_patterns.py"
