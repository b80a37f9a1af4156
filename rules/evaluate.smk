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
            unpack(lambda wildcards: checkpoint(wildcards.model)),
            images=[PATHS.images(dataset) for dataset in JOB.datasets],
            manifests=[PATHS.manifest(dataset) for dataset in JOB.datasets],
            class_maps=class_maps(JOB.datasets),
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
            gpu=GPUS,
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            datasets=list(JOB.datasets),
            cells=jobs.evaluated(STUDY, JOB),
            device=STUDY.device,
        script:
            "../scripts/evaluate_cells.py"


if "transfer" in STUDY.perturbations:

    rule transfer_attacks:
        """Make adversarial images against one model, and record what every model decides on them."""
        input:
            images=PATHS.images(STUDY.clean_dataset.id),
            manifest=PATHS.manifest(STUDY.clean_dataset.id),
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
            gpu=GPUS,
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=lambda wildcards, attempt: 30 * attempt,
        params:
            cells=jobs.transfer_targets(STUDY),
            transfer=jobs.transferred(STUDY),
        script:
            "../scripts/transfer_attacks.py"
