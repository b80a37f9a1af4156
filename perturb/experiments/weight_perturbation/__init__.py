"""Weight perturbation: Gaussian noise on all weights, and weights rounded to a few bits."""

from perturb.experiments.declaration import Chart, Experiment, Perturbation, Pivot, Table

EXPERIMENT = Experiment(
    title="Weight perturbation",
    kind="network",
    perturbations=(
        Perturbation(
            id="weight_noise",
            references=("keskar2017large",),
            protocol=1,
            evaluator="perturb.experiments.weight_perturbation.evaluate:noise_outcomes",
            severities="scales",
            label="weight noise",
            conditions=("gaussian",),
            severity_label="%g %%",
            severity_scale=100.0,
            changes="model",
            unchanged=0.0,
            is_on_clean_set=True,
            repeated={"gaussian": "seeds"},
        ),
        Perturbation(
            id="weight_rounding",
            references=("nagel2021white",),
            protocol=1,
            evaluator="perturb.experiments.weight_perturbation.evaluate:rounding_outcomes",
            severities="bits",
            label="rounded weights",
            conditions=("symmetric",),
            severity_label="%g bits",
            changes="model",
            is_random=False,
            is_on_clean_set=True,
        ),
    ),
    tables=(
        Table(
            "weight_noise",
            title="Weight noise",
            relations=("model_outcomes",),
            shown=("architecture_label", "pretraining_label"),
            pivot=Pivot("noise_scale_label", "accuracy", ("model",)),
            reads=("none", "weight_noise"),
            needs=("weight_noise",),
        ),
        Table(
            "weight_rounding",
            title="Rounded weights",
            relations=("model_outcomes",),
            shown=("architecture_label", "pretraining_label", "baseline_accuracy"),
            pivot=Pivot("bits", "accuracy", ("model",)),
            reads=("none", "weight_rounding"),
            needs=("weight_rounding",),
        ),
    ),
    charts=(
        Chart(
            "weight_noise",
            title="Weight noise",
            tables=("weight_noise", "models"),
            empty="No model was evaluated with noise on its weights.",
        ),
        Chart(
            "weight_rounding",
            title="Rounded weights",
            tables=("weight_rounding", "models"),
            empty="No model was evaluated with rounded weights.",
        ),
    ),
    lead="Weights are changed slightly.",
    shows="perturb.experiments.weight_perturbation.shows:largest_changes",
)
