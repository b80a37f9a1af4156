# REQUIRED INPUTS  {results}/receipts/, {results}/checkpoints/{model}/card.json, {results}/decoded/
# OUTPUTS          {results}/models.parquet, datasets.parquet, inventory/{experiment}.parquet
#                  {results}/tables/{table}.parquet, .csv, .md, .tex
rule describe_study:
    """Make the tables of models and datasets that predictions are joined with."""
    input:
        cards=[PATHS.card(model) for model in STUDY.models],
        manifests=manifests(EVALUATED),
        module=code("tables/facts.py", "models/network_size.py"),
        stale=lambda wildcards: STALE.mark_of(PATHS.models, PATHS.datasets),
    output:
        models=PATHS.models,
        datasets=PATHS.datasets,
    log:
        PATHS.log("describe_study"),
    benchmark:
        PATHS.benchmark("describe_study")
    conda:
        "../envs/tables.yaml"
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
    """Check every shard and measurement of an experiment against its cell, images and weights."""
    input:
        receipts=lambda wildcards: SOURCES.of_experiment(wildcards.experiment),
        manifests=lambda wildcards: checked_manifests(wildcards.experiment),
        cards=lambda wildcards: checked_cards(wildcards.experiment),
        stale=lambda wildcards: STALE.mark_of(PATHS.inventory(wildcards.experiment)),
        code=code(
            "plan/check_shards.py",
            "evaluation/shards.py",
            "datasets/subset.py",
            "plan/clean_chance.py",
            "tables/chance.py",
            "tables/relations/clean_chance.sql",
        ),
    output:
        PATHS.inventory("{experiment}"),
    log:
        PATHS.log("check_shards", "{experiment}"),
    benchmark:
        PATHS.benchmark("check_shards", "{experiment}")
    wildcard_constraints:
        experiment=ids(EXPERIMENTS),
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        # The set of cells, which may shrink, and their expected settings.
        settings=lambda wildcards: inventory_settings(
            STUDY, RESULTS_OF[wildcards.experiment]
        ),
    script:
        "../scripts/check_shards.py"


rule make_tables:
    """Make all tables of the paper, queries over shards, in four formats."""
    input:
        sources=SOURCES.of_files(products.tables_read(STUDY)),
        code=products.tables_code(STUDY),
        stale=lambda wildcards: STALE.mark_of(*map(PATHS.table, TABLES)),
    output:
        # One job for all: starting it takes longer than most queries.
        parquet=[PATHS.table(table, "parquet") for table in TABLES],
        csv=[
            report(
                PATHS.table(table, "csv"),
                caption=str(products.caption_file("table", table)),
                category="Tables",
                labels={"table": table},
            )
            for table in TABLES
        ],
        markdown=[PATHS.table(table, "md") for table in TABLES],
        latex=[PATHS.table(table, "tex") for table in TABLES],
    log:
        PATHS.log("make_tables"),
    benchmark:
        PATHS.benchmark("make_tables")
    conda:
        "../envs/tables.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        tables=list(TABLES),
        # The set of input files, which may shrink.
        sources=lambda wildcards: digest_of(wherever(products.tables_read(STUDY))),
        parameters={table: products.table_parameters(STUDY, table) for table in TABLES},
    script:
        "../scripts/make_tables.py"


rule make_table:
    """Make a table that is asked for by itself, or that a chart needs that is."""
    input:
        sources=lambda wildcards: SOURCES.of_files(
            products.table_files(STUDY, wildcards.table)
        ),
        code=lambda wildcards: products.table_code(wildcards.table),
        stale=lambda wildcards: STALE.mark_of(PATHS.table(wildcards.table)),
    output:
        parquet=[PATHS.table("{table}", "parquet")],
        csv=[PATHS.table("{table}", "csv")],
        markdown=[PATHS.table("{table}", "md")],
        latex=[PATHS.table("{table}", "tex")],
    log:
        PATHS.log("make_table", "{table}"),
    benchmark:
        PATHS.benchmark("make_table", "{table}")
    wildcard_constraints:
        table=ids(TABLES),
    conda:
        "../envs/tables.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        tables=["{table}"],
        sources=lambda wildcards: digest_of(
            wherever(products.table_files(STUDY, wildcards.table))
        ),
        parameters=lambda wildcards: {
            wildcards.table: products.table_parameters(STUDY, wildcards.table)
        },
    script:
        "../scripts/make_tables.py"


# A table or chart that is a target plans the cells that it shows, and no other.
if is_asked_for([*TABLE_FILES, *CHART_FILES]):

    ruleorder: make_table > make_tables

else:

    ruleorder: make_tables > make_table
