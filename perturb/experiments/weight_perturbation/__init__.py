"""Weight perturbation: Gaussian noise on all weights, and weights rounded to a few bits."""

from perturb.experiments.declaration import (
    Asked,
    Chart,
    Experiment,
    Passes,
    Perturbation,
    Pivot,
    Table,
)


def _noise_passes(asked: Asked) -> Passes:
    return Passes(predictions=asked.option("seeds"))


def _rounding_passes(_: Asked) -> Passes:
    return Passes(predictions=1)


EXPERIMENT = Experiment(
    title="Weight perturbation",
    kind="network",
    perturbations=(
        Perturbation(
            id="weight_noise",
            protocol=1,
            evaluator="perturb.experiments.weight_perturbation.evaluate:noise_outcomes",
            passes=_noise_passes,
            severities="scales",
            label="weight noise",
            conditions=("gaussian",),
            changes="model",
            unchanged=0.0,
            is_on_clean_set=True,
            repeated={"gaussian": "seeds"},
        ),
        Perturbation(
            id="weight_rounding",
            protocol=1,
            evaluator="perturb.experiments.weight_perturbation.evaluate:rounding_outcomes",
            passes=_rounding_passes,
            severities="bits",
            label="rounded weights",
            conditions=("symmetric",),
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
            drawn=("accuracy",),
            empty="No model was evaluated with noise on its weights.",
            draw="perturb.experiments.weight_perturbation.charts:weight_noise",
            note="perturb.charts.notes:images",
            needs=("weight_noise",),
        ),
        Chart(
            "weight_rounding",
            title="Rounded weights",
            tables=("weight_rounding", "models"),
            drawn=("accuracy",),
            empty="No model was evaluated with rounded weights.",
            draw="perturb.experiments.weight_perturbation.charts:weight_rounding",
            note="perturb.charts.notes:images",
            needs=("weight_rounding",),
        ),
    ),
    lead="Weights are changed slightly.",
)
