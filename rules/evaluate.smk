# REQUIRED INPUTS  {results}/stores/{dataset}/, {results}/checkpoints/{model}/
# OUTPUTS          {results}/shards/{model}/{dataset}/{perturbation}/{severity}.parquet
rule evaluate_cell:
    """Record what one model decides on every image of a data set, at one severity."""
    input:
        unpack(lambda wildcards: store(wildcards.dataset)),
        unpack(lambda wildcards: checkpoint(wildcards.model)),
    output:
        PATHS.shard(Cell("{model}", "{dataset}", "{perturbation}", "{severity}")),
    log:
        PATHS.log(
            "evaluate_cell", "{model}", "{dataset}", "{perturbation}", "{severity}"
        ),
    conda:
        "../envs/perturb.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        cell=lambda wildcards: jobs.evaluated(STUDY, wildcards.perturbation),
    script:
        "../scripts/evaluate_cell.py"
