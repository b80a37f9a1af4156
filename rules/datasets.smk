# REQUIRED INPUTS  none in {results}; real images lie below the configuration's `data`;
#                  `filter_dataset` needs the decoded dataset of its pool and a checkpoint
# OUTPUTS          {results}/decoded/{dataset}/images.npy, manifest.parquet
#                  {results}/decoded/{dataset}/{preprocessing or part}/images.npy, manifest.parquet
#                  {results}/contact_sheets/{dataset}.png
rule generate_dataset:
    """Render a set of the embedded image family into a decoded dataset."""
    input:
        stale=lambda wildcards: STALE.mark_of(PATHS.manifest(wildcards.dataset)),
    output:
        images=PATHS.images("{dataset}"),
        manifest=PATHS.manifest("{dataset}"),
    log:
        PATHS.log("generate_dataset", "{dataset}"),
    benchmark:
        PATHS.benchmark("generate_dataset", "{dataset}")
    wildcard_constraints:
        dataset=ids(GENERATED),
    # Before training, which needs it and itself has priority over other ready jobs.
    priority: 20
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        dataset=lambda wildcards: params.generated(STUDY, wildcards.dataset),
    script:
        "../scripts/generate_dataset.py"


rule bundle_dataset:
    """Convert a dataset of an installed package into a decoded dataset."""
    input:
        stale=lambda wildcards: STALE.mark_of(PATHS.manifest(wildcards.dataset)),
    output:
        images=PATHS.images("{dataset}"),
        manifest=PATHS.manifest("{dataset}"),
    log:
        PATHS.log("bundle_dataset", "{dataset}"),
    benchmark:
        PATHS.benchmark("bundle_dataset", "{dataset}")
    wildcard_constraints:
        dataset=ids(BUNDLED),
    priority: 20
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 5 * attempt,
    params:
        dataset=lambda wildcards: params.bundled(STUDY, wildcards.dataset),
    script:
        "../scripts/bundle_dataset.py"


# The machine that starts the workflow has a network; compute nodes often have none.
localrules:
    download_dataset,


rule download_dataset:
    """Download a public dataset of the register, verify it and unpack it."""
    output:
        # A mark beside the folder: Snakemake would delete a folder as output before it is made again.
        touch(sources.mark_of_download(STUDY, "{download}")),
    log:
        PATHS.log("download_dataset", "{download}"),
    benchmark:
        PATHS.benchmark("download_dataset", "{download}")
    # First, so that other jobs run while it waits for the network.
    priority: 30
    conda:
        "../envs/planning.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        folder=lambda wildcards: f"{STUDY.data}/{wildcards.download}",
        name="{download}",
        entry=lambda wildcards: repr(read_register(REGISTER)[wildcards.download]),
        sha256=lambda wildcards: sources.given_sha256(STUDY, wildcards.download),
    script:
        "../scripts/download_dataset.py"


rule decode_dataset:
    """Decode real images, once per preprocessing, into a decoded dataset."""
    input:
        downloads=lambda wildcards: downloads(wildcards.store),
        # A replaced file may contain other images; other labels are in the origin of the manifest.
        source=lambda wildcards: sources.source_files(STUDY, wildcards.store),
        labels=lambda wildcards: [
            ancient(path) for path in sources.label_files(STUDY, wildcards.store)
        ],
        # Only for a comparison: a newer one repeats nothing.
        clean=lambda wildcards: [
            ancient(path) for path in sources.clean_manifest(STUDY, wildcards.store)
        ],
        stale=lambda wildcards: STALE.mark_of(PATHS.manifest(wildcards.store)),
    output:
        images=PATHS.images("{store}"),
        manifest=PATHS.manifest("{store}"),
    log:
        PATHS.log("decode_dataset", "{store}"),
    benchmark:
        PATHS.benchmark("decode_dataset", "{store}")
    wildcard_constraints:
        store=ids(DECODED),
    # Faulty images are found before anything is evaluated on some of them.
    priority: 20
    conda:
        "../envs/torch.yaml"
    threads: 16
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        dataset=lambda wildcards: sources.decoded(STUDY, wildcards.store),
    script:
        "../scripts/decode_dataset.py"


rule filter_dataset:
    """Select the images of a pool that all of some models misclassify."""
    input:
        unpack(
            lambda wildcards: store(
                STUDY.datasets[wildcards.dataset].filter["dataset"]
            )
        ),
        unpack(
            lambda wildcards: checkpoints(
                STUDY.datasets[wildcards.dataset].filter_models
            )
        ),
        stale=lambda wildcards: STALE.mark_of(PATHS.manifest(wildcards.dataset)),
    output:
        images=PATHS.images("{dataset}"),
        manifest=PATHS.manifest("{dataset}"),
    log:
        PATHS.log("filter_dataset", "{dataset}"),
    benchmark:
        PATHS.benchmark("filter_dataset", "{dataset}")
    wildcard_constraints:
        dataset=ids(FILTERED),
    conda:
        "../envs/torch.yaml"
    resources:
        **GPU,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        batch_size=STUDY.batch_size,
        device=STUDY.device,
    script:
        "../scripts/filter_dataset.py"


rule draw_contact_sheets:
    """Draw sample images of every dataset side by side."""
    input:
        code("datasets/contact_sheet.py"),
        images=[PATHS.images(store) for store in SHEETS.values()],
        manifests=[PATHS.manifest(store) for store in SHEETS.values()],
        stale=lambda wildcards: STALE.mark_of(*map(PATHS.contact_sheet, SHEETS)),
    output:
        # One job for all: a job takes longer to start than a sheet to draw.
        [
            report(
                PATHS.contact_sheet(dataset),
                caption="../report/contact_sheet.rst",
                category="Images",
                labels={"dataset": dataset},
            )
            for dataset in SHEETS
        ],
    log:
        PATHS.log("draw_contact_sheets"),
    benchmark:
        PATHS.benchmark("draw_contact_sheets")
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    script:
        "../scripts/draw_contact_sheets.py"
