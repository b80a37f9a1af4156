# REQUIRED INPUTS  {results}/receipts/, {results}/checkpoints/{model}/card.json, {results}/decoded/
# OUTPUTS          {results}/models.parquet, datasets.parquet, inventory/{experiment}.parquet
#                  {results}/tables/{table}.parquet, .csv, .md, .tex
rule describe_study:
    """Make the tables of models and datasets that predictions are joined with."""
    input:
        cards=[PATHS.card(model) for model in STUDY.models],
        manifests=manifests(EVALUATED),
        module="perturb/tables/facts.py",
    output:
        models=PATHS.models,
        datasets=PATHS.datasets,
    log:
        PATHS.log("describe_study"),
    benchmark:
        PATHS.benchmark("describe_study")
    conda:
        "../envs/perturb.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        # Functions, because Snakemake reads braces in texts as wildcards.
        models=lambda wildcards: params.described_models(STUDY),
        datasets=lambda wildcards: params.described_datasets(STUDY),
        subsets=lambda wildcards: params.class_subsets(STUDY),
    script:
        "../scripts/describe_study.py"


rule check_shards:
    """Check every shard of an experiment against its cell, its images and its weights."""
    input:
        receipts=lambda wildcards: SOURCES.of_experiment(wildcards.experiment),
        manifests=manifests(EVALUATED),
        models=PATHS.models,
        code=[
            "perturb/plan/check_shards.py",
            "perturb/evaluate/shards.py",
            "perturb/datasets/subset.py",
            "perturb/plan/clean_chance.py",
            "perturb/tables/chance.py",
            "perturb/tables/relations/clean_chance.sql",
        ],
    output:
        PATHS.inventory("{experiment}"),
    log:
        PATHS.log("check_shards", "{experiment}"),
    benchmark:
        PATHS.benchmark("check_shards", "{experiment}")
    wildcard_constraints:
        experiment=ids(EXPERIMENTS),
    conda:
        "../envs/perturb.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        # The set of shards, which may shrink, and their expected settings.
        receipts=lambda wildcards: digest_of(
            SOURCES.of_experiment(wildcards.experiment)
        ),
        expected=lambda wildcards: products.checked_shards(STUDY),
    script:
        "../scripts/check_shards.py"


rule make_table:
    """Make a table of the paper, a query over shards, in four formats."""
    input:
        sources=lambda wildcards: SOURCES.of_files(table_files(wildcards.table)),
        code=lambda wildcards: products.table_code(wildcards.table),
    output:
        parquet=PATHS.table("{table}", "parquet"),
        csv=report(
            PATHS.table("{table}", "csv"),
            caption="../report/product.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        markdown=PATHS.table("{table}", "md"),
        latex=PATHS.table("{table}", "tex"),
    log:
        PATHS.log("make_table", "{table}"),
    benchmark:
        PATHS.benchmark("make_table", "{table}")
    wildcard_constraints:
        table=ids(TABLES),
    conda:
        "../envs/perturb.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 12000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        # The set of input files, which may shrink.
        sources=lambda wildcards: digest_of(table_files(wildcards.table)),
        parameters=lambda wildcards: products.table_parameters(STUDY, wildcards.table),
        caption=lambda wildcards: caption("table", wildcards.table),
    script:
        "../scripts/make_table.py"
