"""Effective robustness: accuracy on a perturbed set beyond what clean accuracy predicts."""

from perturb.experiments.declaration import PREDICTIONS, Chart, Experiment, Pivot, Table

# Test sets are added by the relations of attacks, transforms and corruptions.
_TEST_SETS = ("corruption_images", "attack_outcomes", "spatial_outcomes", "clean_outcomes")
_READS = ("none", "corruptions", "fgsm", "pgd", "attack_ensemble", "spatial")

EXPERIMENT = Experiment(
    title="Effective robustness",
    references=("taori2020measuring", "miller2021accuracy"),
    tables=(
        Table(
            "effective_robustness",
            title="Effective robustness",
            relations=(*_TEST_SETS, "robustness_fits"),
            shown=("architecture_label", "pretraining_label"),
            sources=PREDICTIONS,
            pivot=Pivot("test_set_label", "effective_robustness", ("model",)),
            reads=_READS,
            parameters=("headline_epsilon",),
            empty="No row: no model has five others to be compared with, all have one clean "
            "accuracy, or fewer than three are right on some perturbed images.",
        ),
        Table(
            "matched_accuracy",
            title="Models of matched clean accuracy",
            relations=(*_TEST_SETS, "image_values"),
            shown=("vit_name", "resnet_name", "clean_gap"),
            sources=PREDICTIONS,
            pivot=Pivot("test_set_label", "matched_gap", ("vit_model",)),
            reads=_READS,
            parameters=("headline_epsilon",),
            on_page=True,
            empty="No row: no ViT has a ResNet within two percentage points of clean accuracy.",
        ),
    ),
    charts=(
        Chart(
            "effective_robustness",
            title="Accuracy on perturbed images over clean accuracy",
            tables=("effective_robustness", "models"),
            empty="No model has five others to be compared with, three of them right on some "
            "perturbed images.",
        ),
    ),
    relations={
        "robustness_fits": "perturb.experiments.effective_robustness.relation:robustness_fits"
    },
    shows="perturb.experiments.effective_robustness.shows:beside_the_line",
)
