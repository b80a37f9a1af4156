# REQUIRED INPUTS  none; `filter_dataset` needs the store of its pool and a checkpoint
# OUTPUTS          {results}/stores/{dataset}/images.npy, manifest.parquet
#                  {results}/contact_sheets/{dataset}.png
rule generate_dataset:
    """Render a set of the embedded image family into an image store."""
    output:
        images=PATHS.images("{dataset}"),
        manifest=PATHS.manifest("{dataset}"),
    log:
        PATHS.log("generate_dataset", "{dataset}"),
    wildcard_constraints:
        dataset=ids(GENERATED),
    # Before the training that waits for it, which is itself before anything else that is ready.
    priority: 20
    conda:
        "../envs/perturb.yaml"
    params:
        dataset=lambda wildcards: jobs.generated(STUDY, wildcards.dataset),
    script:
        "../scripts/generate_dataset.py"


rule filter_dataset:
    """Keep the images of a pool that the reference network gets wrong."""
    input:
        unpack(
            lambda wildcards: store(
                STUDY.datasets[wildcards.dataset].filter["dataset"]
            )
        ),
        unpack(
            lambda wildcards: checkpoint(
                STUDY.datasets[wildcards.dataset].filter["wrong_by"]
            )
        ),
    output:
        images=PATHS.images("{dataset}"),
        manifest=PATHS.manifest("{dataset}"),
    log:
        PATHS.log("filter_dataset", "{dataset}"),
    wildcard_constraints:
        dataset=ids(FILTERED),
    conda:
        "../envs/perturb.yaml"
    params:
        batch_size=STUDY.batch_size,
    script:
        "../scripts/filter_dataset.py"


rule draw_contact_sheets:
    """Draw some images of every data set side by side."""
    input:
        "perturb/images/contact_sheet.py",
        images=[PATHS.images(dataset) for dataset in STUDY.datasets],
        manifests=[PATHS.manifest(dataset) for dataset in STUDY.datasets],
    output:
        # One job for all: starting one takes longer than any sheet.
        [
            report(
                PATHS.contact_sheet(dataset),
                caption="../report/contact_sheet.rst",
                category="Images",
                labels={"data set": dataset},
            )
            for dataset in STUDY.datasets
        ],
    log:
        PATHS.log("draw_contact_sheets"),
    conda:
        "../envs/perturb.yaml"
    script:
        "../scripts/draw_contact_sheets.py"
