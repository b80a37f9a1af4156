"""The number of jobs of a study's workflow, by rule, as in a dry run in an empty folder."""

from perturb.config import Config
from perturb.plan.jobs import TRANSFER, experiments, jobs
from perturb.plan.stores import stores_of_dataset


def jobs_of(config: Config) -> dict[str, int]:
    """Return the number of jobs of each rule that has any."""
    datasets, models = config.datasets.values(), config.models.values()
    decoded = [
        store
        for dataset in datasets
        if dataset.source is not None
        for store in stores_of_dataset(config, dataset.id)
    ]
    downloads = {
        dataset.source["download"]
        for dataset in datasets
        if dataset.source is not None and "download" in dataset.source
    }
    has_transfer = "transfer" in config.perturbations
    counts = {
        "generate_dataset": sum(
            dataset.generate is not None and not dataset.is_streamed for dataset in datasets
        ),
        "bundle_dataset": sum(dataset.bundled is not None for dataset in datasets),
        "download_dataset": len(downloads),
        "decode_dataset": len(decoded),
        "filter_dataset": sum(dataset.filter is not None for dataset in datasets),
        "draw_contact_sheets": 1,
        "train_model": sum(model.weights is None for model in models),
        "import_checkpoint": sum(model.weights is not None for model in models),
        "evaluate": sum(name != TRANSFER for _, name in jobs(config)),
        "transfer_attacks": len(config.benchmark_models) if has_transfer else 0,
        "draw_patterns": int(config.patterns is not None),
        "draw_examples": 1,
        "describe_study": 1,
        "check_shards": len(experiments(config)),
        "make_tables": 1,
        "draw_charts": 1,
        "write_page": 1,
    }
    return {rule: count for rule, count in counts.items() if count}
