# REQUIRED INPUTS  {results}/stores/{dataset}/, {results}/checkpoints/{model}/
# OUTPUTS          {results}/shards/{model}/{dataset}/{perturbation}/{severity}.parquet
#                  {results}/shards/{model}/{dataset}/transfer/{severity}/{source}.parquet
for NUMBER, JOB in enumerate(evaluation_jobs(STUDY)):

    # One rule for each set of cells that a job evaluates: a job's outputs are these cells' shards.
    rule:
        """Record what one model decides on every image, under some perturbations."""
        name:
            f"evaluate_cells_{NUMBER}"
        input:
            **checkpoint("{model}"),
            # The loop's variables belong to the last round once it is over: the job is a default.
            images=lambda wildcards, job=JOB: [
                PATHS.images(store)
                for store in params.job_stores(STUDY, job, wildcards.model)
            ],
            manifests=lambda wildcards, job=JOB: [
                PATHS.manifest(store)
                for store in params.job_stores(STUDY, job, wildcards.model)
            ],
            class_maps=lambda wildcards, job=JOB: class_maps(job.datasets),
        output:
            [PATHS.shard(cell) for cell in JOB.cells],
        log:
            PATHS.log("evaluate_cells", "{model}", str(NUMBER)),
        wildcard_constraints:
            model=ids(JOB.models),
        conda:
            "../envs/perturb.yaml"
        threads: 1
        resources:
            **needs("evaluate_cells"),
        params:
            stores=lambda wildcards, job=JOB: params.job_stores(
                STUDY, job, wildcards.model
            ),
            cells=lambda wildcards, job=JOB: params.evaluated(STUDY, job, wildcards.model),
        script:
            "../scripts/evaluate_cells.py"

    set_resources_of_all("evaluate_cells", f"evaluate_cells_{NUMBER}")


if "transfer" in STUDY.perturbations:

    rule transfer_attacks:
        """Make adversarial images against one model, and record what every model decides on them."""
        input:
            **store(STUDY.perturbations["transfer"].datasets[0]),
            weights=[PATHS.weights(model) for model in STUDY.benchmark_models],
            cards=[PATHS.card(model) for model in STUDY.benchmark_models],
        output:
            [PATHS.shard(cell) for cell in transfer_cells(STUDY, "{source}")],
        log:
            PATHS.log("transfer_attacks", "{source}"),
        wildcard_constraints:
            source=ids(STUDY.benchmark_models),
        conda:
            "../envs/perturb.yaml"
        threads: 1
        resources:
            **needs("transfer_attacks"),
        params:
            cells=lambda wildcards: params.transfer_targets(STUDY),
            transfer=lambda wildcards: params.transferred(STUDY),
        script:
            "../scripts/transfer_attacks.py"
