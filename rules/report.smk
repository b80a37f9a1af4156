# REQUIRED INPUTS  {results}/tables/, {results}/decoded/, {results}/datasets.parquet
#                  {results}/receipts/, {results}/checkpoints/{model}/
# OUTPUTS          {results}/charts/{chart}.html, .svg, .png, .pdf, .json; {results}/report/index.html
#                  {results}/examples/gallery.json, .webp, disagreements.json, .webp
rule draw_charts:
    """Draw all charts in the form of the paper's figures."""
    input:
        tables=list(products.chart_tables(STUDY).values()),
        code=products.charts_code(),
        stale=lambda wildcards: STALE.mark_of(*map(PATHS.chart, CHARTS)),
    output:
        # One job for all: the drawing library takes longer to start than a chart to draw.
        html=[
            report(PATHS.chart(chart, "html"), **in_report(chart, "interactive"))
            for chart in CHARTS
        ],
        png=[
            report(PATHS.chart(chart, "png"), **in_report(chart, "picture"))
            for chart in CHARTS
        ],
        svg=[PATHS.chart(chart, "svg") for chart in CHARTS],
        pdf=[PATHS.chart(chart, "pdf") for chart in CHARTS],
        # From which the page shows the chart.
        json=[PATHS.chart(chart, "json") for chart in CHARTS],
    log:
        PATHS.log("draw_charts"),
    benchmark:
        PATHS.benchmark("draw_charts")
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        charts=list(CHARTS),
        tables=list(products.chart_tables(STUDY)),
    script:
        "../scripts/draw_charts.py"


rule draw_chart:
    """Draw a chart that is a target of the run, from its own tables."""
    input:
        tables=lambda wildcards: [
            PATHS.table(table) for table in CHARTS[wildcards.chart].tables
        ],
        code=products.charts_code(),
        stale=lambda wildcards: STALE.mark_of(PATHS.chart(wildcards.chart)),
    output:
        html=[PATHS.chart("{chart}", "html")],
        png=[PATHS.chart("{chart}", "png")],
        svg=[PATHS.chart("{chart}", "svg")],
        pdf=[PATHS.chart("{chart}", "pdf")],
        json=[PATHS.chart("{chart}", "json")],
    log:
        PATHS.log("draw_chart", "{chart}"),
    benchmark:
        PATHS.benchmark("draw_chart", "{chart}")
    wildcard_constraints:
        chart=ids(CHARTS),
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        charts=["{chart}"],
        tables=lambda wildcards: list(CHARTS[wildcards.chart].tables),
    script:
        "../scripts/draw_charts.py"


if is_asked_for(CHART_FILES):

    ruleorder: draw_chart > draw_charts

else:

    ruleorder: draw_charts > draw_chart


rule draw_examples:
    """Draw the gallery of perturbed images, and the images on which models differ."""
    input:
        images=[PATHS.images(store) for store in EXAMPLES.stores],
        manifests=[PATHS.manifest(store) for store in EXAMPLES.stores],
        shards=SOURCES.of_files(EXAMPLES.shards),
        weights=[PATHS.weights(model) for model in EXAMPLES.loaded],
        cards=[PATHS.card(model) for model in EXAMPLES.loaded],
        class_maps=class_maps(EXAMPLES.compared),
        code=products.examples_code(),
        stale=lambda wildcards: STALE.mark_of(PATHS.gallery, PATHS.disagreements),
    output:
        # One job for both: a job takes longer to start than they to draw.
        gallery=PATHS.gallery,
        gallery_pictures=PATHS.gallery_pictures,
        disagreements=PATHS.disagreements,
        disagreements_pictures=PATHS.disagreements_pictures,
    log:
        PATHS.log("draw_examples"),
    benchmark:
        PATHS.benchmark("draw_examples")
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        **(GPU if EXAMPLES.loaded else {}),
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    script:
        "../scripts/draw_examples.py"


rule write_page:
    """Write the offline report page: questions, findings, methods and uncertainty."""
    input:
        **{table: PATHS.table(table) for table in TABLES},
        study_datasets=PATHS.datasets,
        charts=[PATHS.chart(chart, "json") for chart in CHARTS],
        chart_pictures=[PATHS.chart(chart, "svg") for chart in CHARTS],
        contact_sheets=[PATHS.contact_sheet(dataset) for dataset in EVALUATED],
        pictures=list(PICTURES.values()),
        examples=PATHS.examples,
        code=products.page_code(),
        stale=lambda wildcards: STALE.mark_of(PATHS.page),
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
        "../envs/tables.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        # Functions, because Snakemake reads braces in texts as wildcards.
        configuration=lambda wildcards: yaml.safe_dump(
            spelt_alike(config), sort_keys=False, allow_unicode=True
        ),
        command=lambda wildcards: COMMAND,
        absent=lambda wildcards: params.titles(STUDY, STUDY.absent.values()),
        left_out=lambda wildcards: left_out(STUDY),
        tables=list(TABLES),
        charts=list(CHARTS),
        pictures=list(PICTURES),
    script:
        "../scripts/write_page.py"
