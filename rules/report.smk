# REQUIRED INPUTS  {results}/tables/, {results}/stores/, {results}/datasets.parquet
# OUTPUTS          {results}/charts/{chart}.html, .svg, .png; {results}/report/index.html
rule draw_chart:
    """Draw a chart in the form of the paper's figure."""
    input:
        unpack(lambda wildcards: products.chart_tables(STUDY, wildcards.chart)),
    output:
        html=report(
            PATHS.chart("{chart}", "html"),
            caption="../report/chart.rst",
            category="Charts",
            labels={"chart": "{chart}", "format": "interactive"},
        ),
        svg=PATHS.chart("{chart}", "svg"),
        png=report(
            PATHS.chart("{chart}", "png"),
            caption="../report/chart.rst",
            category="Charts",
            labels={"chart": "{chart}", "format": "picture"},
        ),
    log:
        PATHS.log("draw_chart", "{chart}"),
    conda:
        "../envs/perturb.yaml"
    script:
        "../scripts/draw_chart.py"


rule write_page:
    """Write the offline page that explains what was asked, found and done, and how sure it is."""
    input:
        **{table: PATHS.table(table) for table in TABLES},
        study_datasets=PATHS.datasets,
        contact_sheets=[PATHS.contact_sheet(dataset) for dataset in EVALUATED],
    output:
        page=report(
            f"{PATHS.root}/report/index.html",
            caption="../report/page.rst",
            category="Report",
            labels={"page": "report"},
        ),
    log:
        PATHS.log("write_page"),
    conda:
        "../envs/perturb.yaml"
    params:
        title=STUDY.title,
    script:
        "../scripts/write_page.py"
