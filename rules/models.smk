# REQUIRED INPUTS  {results}/stores/: pre-training, training and validation sets
# OUTPUTS          {results}/checkpoints/{model}/weights.safetensors, card.json
rule train_model:
    """Pre-train a model, then fine-tune it on the target task."""
    input:
        unpack(lambda wildcards: training_stores(wildcards.model)),
    output:
        weights=PATHS.weights("{model}"),
        card=PATHS.card("{model}"),
    log:
        PATHS.log("train_model", "{model}"),
    wildcard_constraints:
        model=ids(TRAINED),
    # The longest jobs first: nothing else can fill the cores while the last of them runs alone.
    priority: 10
    conda:
        "../envs/perturb.yaml"
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        model=lambda wildcards: jobs.model_facts(STUDY, wildcards.model),
        num_samples=lambda wildcards: jobs.training_samples(STUDY, wildcards.model),
        seed=STUDY.seed,
        device=STUDY.device,
        protocol=TRAINING_PROTOCOL,
    script:
        "../scripts/train_model.py"


rule import_checkpoint:
    """Check a file of weights against its SHA-256 and its architecture."""
    input:
        file=lambda wildcards: STUDY.models[wildcards.model].weights.path,
        manifest=PATHS.manifest(STUDY.clean_dataset.id),
        images=PATHS.images(STUDY.clean_dataset.id),
    output:
        weights=PATHS.weights("{model}"),
        card=PATHS.card("{model}"),
    log:
        PATHS.log("import_checkpoint", "{model}"),
    wildcard_constraints:
        model=ids(GIVEN),
    conda:
        "../envs/perturb.yaml"
    params:
        model=lambda wildcards: jobs.model_facts(STUDY, wildcards.model),
        sha256=lambda wildcards: STUDY.models[wildcards.model].weights.sha256,
    script:
        "../scripts/import_checkpoint.py"
