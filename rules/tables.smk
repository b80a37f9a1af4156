# REQUIRED INPUTS  {results}/shards/, {results}/checkpoints/{model}/card.json, {results}/stores/
# OUTPUTS          {results}/models.parquet, datasets.parquet, inventory.parquet
#                  {results}/tables/{table}.parquet, .csv, .md, .tex
rule describe_study:
    """Collect the facts about models and data sets that decisions are joined with."""
    input:
        cards=[PATHS.card(model) for model in STUDY.models],
        manifests=manifests(EVALUATED),
        module="perturb/describe.py",
    output:
        models=PATHS.models,
        datasets=PATHS.datasets,
    log:
        PATHS.log("describe_study"),
    conda:
        "../envs/perturb.yaml"
    resources:
        **needs("describe_study"),
    params:
        models=jobs.described_models(STUDY),
        datasets=jobs.described_datasets(STUDY),
        subsets=jobs.class_subsets(STUDY),
    script:
        "../scripts/describe_study.py"


rule check_shards:
    """Check every shard of the study against its cell, its images and its weights."""
    input:
        shards=[PATHS.shard(cell) for cell in CELLS],
        manifests=manifests(EVALUATED),
        models=rules.describe_study.output.models,
        module="perturb/inventory.py",
    output:
        PATHS.inventory,
    log:
        PATHS.log("check_shards"),
    conda:
        "../envs/perturb.yaml"
    resources:
        **needs("check_shards"),
    script:
        "../scripts/check_shards.py"


rule make_table:
    """Make a table of the paper, a query over shards, in four formats."""
    input:
        unpack(lambda wildcards: products.table_sources(STUDY, wildcards.table)),
        checked=rules.check_shards.output,
        code=lambda wildcards: code_of(wildcards.table),
    output:
        parquet=PATHS.table("{table}", "parquet"),
        csv=report(
            PATHS.table("{table}", "csv"),
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        markdown=PATHS.table("{table}", "md"),
        latex=PATHS.table("{table}", "tex"),
    log:
        PATHS.log("make_table", "{table}"),
    conda:
        "../envs/perturb.yaml"
    resources:
        **needs("make_table"),
    params:
        parameters=lambda wildcards: products.table_parameters(STUDY, wildcards.table),
    script:
        "../scripts/make_table.py"
