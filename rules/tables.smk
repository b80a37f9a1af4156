# REQUIRED INPUTS  {results}/receipts/, {results}/checkpoints/{model}/card.json, {results}/stores/
# OUTPUTS          {results}/models.parquet, datasets.parquet, inventory.parquet
#                  {results}/tables/{table}.parquet, .csv, .md, .tex
rule describe_study:
    """Collect the facts about models and data sets that decisions are joined with."""
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
        # Texts come from functions: in others Snakemake takes braces for wildcards.
        models=lambda wildcards: params.described_models(STUDY),
        datasets=lambda wildcards: params.described_datasets(STUDY),
        subsets=lambda wildcards: params.class_subsets(STUDY),
    script:
        "../scripts/describe_study.py"


rule check_shards:
    """Check every shard of the study against its cell, its images and its weights."""
    input:
        receipts=RECEIPTS,
        manifests=manifests(EVALUATED),
        models=PATHS.models,
        code=[
            "perturb/plan/check_shards.py",
            "perturb/evaluate/shards.py",
            "perturb/datasets/subset.py",
            "perturb/tables/chance.py",
            "perturb/tables/relations/clean_chance.sql",
        ],
    output:
        PATHS.inventory,
    log:
        PATHS.log("check_shards"),
    benchmark:
        PATHS.benchmark("check_shards")
    conda:
        "../envs/perturb.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        # What shards must be made under: so those that were not are found even where Snakemake has
        # lost what it knew of the job that made them.
        expected=lambda wildcards: products.checked_shards(STUDY),
    script:
        "../scripts/check_shards.py"


rule make_tables:
    """Make the tables of the paper, queries over shards, each in four formats."""

    # One job for all: a job for each would start Python more often than it queries, and each would
    # list most shards of the study, which is what planning a large one takes its time for.
    input:
        sources=receipts_of(STUDY, products.tables_read(STUDY)),
        checked=PATHS.inventory,
        code=products.tables_code(STUDY),
    output:
        **{f"{table}_parquet": PATHS.table(table, "parquet") for table in TABLES},
        **{
            f"{table}_csv": report(
                PATHS.table(table, "csv"),
                caption=f"../report/tables/{table}.rst",
                category="Tables",
                labels={"table": table},
            )
            for table in TABLES
        },
        **{f"{table}_markdown": PATHS.table(table, "md") for table in TABLES},
        **{f"{table}_latex": PATHS.table(table, "tex") for table in TABLES},
    log:
        PATHS.log("make_tables"),
    benchmark:
        PATHS.benchmark("make_tables")
    conda:
        "../envs/perturb.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 12000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        parameters={table: products.table_parameters(STUDY, table) for table in TABLES},
    script:
        "../scripts/make_tables.py"
