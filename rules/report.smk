# REQUIRED INPUTS  {results}/tables/, {results}/stores/, {results}/datasets.parquet
# OUTPUTS          {results}/charts/{chart}.html, .svg, .png; {results}/report/index.html
rule draw_chart:
    """Draw a chart in the form of the paper's figures."""
    input:
        tables=lambda wildcards: [
            PATHS.table(table) for table in CHARTS[wildcards.chart].tables
        ],
        code=products.charts_code(),
    output:
        html=report(
            PATHS.chart("{chart}", "html"),
            caption="../report/product.rst",
            category="Charts",
            labels=lambda wildcards: {
                "chart": CHARTS[wildcards.chart].title,
                "format": "interactive",
            },
        ),
        png=report(
            PATHS.chart("{chart}", "png"),
            caption="../report/product.rst",
            category="Charts",
            labels=lambda wildcards: {
                "chart": CHARTS[wildcards.chart].title,
                "format": "picture",
            },
        ),
        svg=PATHS.chart("{chart}", "svg"),
    log:
        PATHS.log("draw_chart", "{chart}"),
    benchmark:
        PATHS.benchmark("draw_chart", "{chart}")
    wildcard_constraints:
        chart=ids(CHARTS),
    conda:
        "../envs/perturb.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        tables=lambda wildcards: list(CHARTS[wildcards.chart].tables),
        caption=lambda wildcards: caption("chart", wildcards.chart),
    script:
        "../scripts/draw_chart.py"


rule write_page:
    """Write the offline page that explains what was asked, found and done, and how sure it is."""
    input:
        **{table: PATHS.table(table) for table in TABLES},
        study_datasets=PATHS.datasets,
        contact_sheets=[PATHS.contact_sheet(dataset) for dataset in EVALUATED],
        pictures=list(PICTURES.values()),
        code=products.page_code(),
    output:
        page=report(
            PATHS.page,
            caption="../report/page.rst",
            category="Report",
            labels={"page": "report"},
        ),
    log:
        PATHS.log("write_page"),
    benchmark:
        PATHS.benchmark("write_page")
    conda:
        "../envs/perturb.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        # Texts come from functions: in others Snakemake takes braces for wildcards.
        configuration=lambda wildcards: yaml.safe_dump(
            spelt_alike(config), sort_keys=False, allow_unicode=True
        ),
        command=lambda wildcards: COMMAND,
        absent=lambda wildcards: params.titles(STUDY.absent.values()),
        left_out=lambda wildcards: left_out(STUDY),
        tables=list(TABLES),
        pictures=list(PICTURES),
    script:
        "../scripts/write_page.py"
