"""Confidence: calibration, and telling right from wrong predictions by confidence."""

from perturb.experiments.declaration import Chart, Experiment, Measure, Pivot, Table

# `corruption_images` says in its name if the corruptions are stored, or have a JPEG pass.
_RELATIONS = ("corruption_images", "confidence_predictions", "confidence_values")
_READS = ("none", "corruptions")
_MODEL = ("architecture_label", "pretraining_label", "test_set_label", "corruption_severity")

EXPERIMENT = Experiment(
    title="Confidence",
    references=(
        "roelofs2022mitigating",
        "kumar2019verified",
        "hendrycks2017baseline",
        "geifman2017selective",
    ),
    measures=(Measure("calibration", "Calibration error", 10, is_better_high=False),),
    tables=(
        Table(
            "calibration",
            title="Calibration, and telling right from wrong",
            relations=_RELATIONS,
            shown=(
                *_MODEL,
                "accuracy",
                "mean_confidence",
                "calibration_error",
                "plain_calibration_error",
                "brier_score",
                "log_loss",
                "auroc",
                "aurc",
                "num_images",
                "num_predictions",
            ),
            reads=_READS,
        ),
        Table(
            "reliability",
            title="Accuracy by confidence",
            relations=_RELATIONS,
            shown=_MODEL,
            pivot=Pivot("confidence_bin", "bin_accuracy", ("model",)),
            reads=_READS,
        ),
        Table(
            "risk_coverage",
            title="Error by coverage",
            relations=_RELATIONS,
            shown=_MODEL,
            pivot=Pivot("coverage_label", "selective_error", ("model",)),
            reads=_READS,
        ),
    ),
    charts=(
        Chart(
            "reliability_diagram",
            title="Accuracy by confidence",
            tables=("reliability", "models"),
            drawn=("bin_accuracy",),
            empty="No model was tested on unchanged images.",
        ),
        Chart(
            "calibration_by_severity",
            title="Calibration error over the severity of corruptions",
            tables=("calibration", "models"),
            drawn=("corruption_severity",),
            empty="No model was tested on corrupted images of the clean set.",
            note="perturb.experiments.confidence.notes:corrupted_images",
        ),
        Chart(
            "risk_coverage_curves",
            title="Error over coverage",
            tables=("risk_coverage", "models"),
            drawn=("selective_error",),
            empty="No model was tested on unchanged images.",
        ),
    ),
    relations={
        "confidence_values": "perturb.experiments.confidence.values:confidence_values",
    },
    shows="perturb.experiments.confidence.shows:overconfident",
)
