# REQUIRED INPUTS  {results}/decoded/: pre-training, training and validation datasets
# OUTPUTS          {results}/checkpoints/{model}/weights.safetensors, card.json
rule train_model:
    """Pre-train a model, then fine-tune it on the target task."""
    input:
        unpack(lambda wildcards: training_stores(wildcards.model)),
        stale=lambda wildcards: STALE.mark_of(PATHS.card(wildcards.model)),
    output:
        weights=PATHS.weights("{model}"),
        card=PATHS.card("{model}"),
    log:
        PATHS.log("train_model", "{model}"),
    benchmark:
        PATHS.benchmark("train_model", "{model}")
    wildcard_constraints:
        model=ids(TRAINED),
    # The longest jobs first: otherwise the last one would run alone while other cores are idle.
    priority: 10
    conda:
        "../envs/torch.yaml"
    threads: lambda wildcards: training_threads(wildcards.model)
    resources:
        **GPU,
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: training_minutes(wildcards.model) * attempt,
    params:
        model=lambda wildcards: params.model_facts(STUDY, wildcards.model),
        num_samples=lambda wildcards: params.training_samples(STUDY, wildcards.model),
        seed=STUDY.seed,
        device=STUDY.device,
        protocol=TRAINING_PROTOCOL,
    script:
        "../scripts/train_model.py"


rule import_checkpoint:
    """Check pretrained weights against their SHA-256 and their architecture; download those of timm."""
    input:
        unpack(lambda wildcards: given_weights(wildcards.model)),
        stale=lambda wildcards: STALE.mark_of(PATHS.card(wildcards.model)),
    output:
        weights=PATHS.weights("{model}"),
        card=PATHS.card("{model}"),
    log:
        PATHS.log("import_checkpoint", "{model}"),
    benchmark:
        PATHS.benchmark("import_checkpoint", "{model}")
    wildcard_constraints:
        model=ids(GIVEN),
    # Wrong weights are found in seconds, before hours are spent on other models.
    priority: 30
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 12000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        model=lambda wildcards: params.given_facts(STUDY, wildcards.model),
    script:
        "../scripts/import_checkpoint.py"
