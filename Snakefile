# Perturb: a benchmark of the robustness of image classifiers to perturbations.
#
#   snakemake --cores all          the study of config.yaml
#   snakemake --cores all --configfile config/smoke.yaml
#   snakemake --list               every rule and its purpose
from snakemake.utils import min_version

min_version("9.0")


# A given configuration is a whole study: it replaces the default one and is not merged with it.
if "datasets" not in config:

    configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"


# For `--sdm apptainer` alone: see envs/README.md.
container: IMAGE


include: "rules/datasets.smk"
include: "rules/models.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/report.smk"


rule all:
    """The whole study: shards, tables, charts, contact sheets and the report page."""
    default_target: True
    input:
        PATHS.page,
        RECEIPTS,
        [PATHS.inventory(experiment) for experiment in EXPERIMENTS],
        [PATHS.table(table) for table in TABLES],
        [PATHS.chart(chart) for chart in CHARTS],
        [PATHS.contact_sheet(dataset) for dataset in SHEETS],


onstart:
    check_before_jobs()
    record_start()


onsuccess:
    # After a run whose target is a table alone, the folder may contain an older page.
    show_report()
