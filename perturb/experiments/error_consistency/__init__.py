"""Error consistency: whether two models, or a model and people, err on the same images."""

from perturb.experiments.declaration import PREDICTIONS, Chart, Experiment, Pivot, Source, Table

_SOURCES = (*PREDICTIONS, "decisions")
_RELATIONS = ("corruption_images", "consistency_outcomes", "error_kappas")
_READS = ("none", "corruptions")
_EMPTY = "No row: there are no two models, or all are always right or always wrong."

EXPERIMENT = Experiment(
    title="Error consistency",
    references=("geirhos2020beyond", "geirhos2021partial"),
    sources=(
        Source(
            "decisions",
            types=dict.fromkeys(("subj", "object_response", "category", "imagename"), "VARCHAR"),
            filled=dict.fromkeys(("subj", "object_response", "category", "imagename"), "VARCHAR"),
            refusing="perturb.experiments.error_consistency.decisions:refuse_faulty",
        ),
    ),
    tables=(
        Table(
            "error_consistency",
            title="Error consistency of every two models",
            relations=_RELATIONS,
            shown=("test_set_label", "decider_label"),
            sources=_SOURCES,
            pivot=Pivot("other_label", "kappa", ("decider",)),
            optional=("decisions",),
            reads=_READS,
            empty=_EMPTY,
        ),
        Table(
            "error_consistency_means",
            title="Error consistency within and between families",
            relations=_RELATIONS,
            shown=(
                "test_set_label",
                "one_family",
                "other_family_name",
                "kappa",
                "least_kappa",
                "most_kappa",
                "observed_agreement",
                "expected_agreement",
                "num_model_pairs",
                "num_conditions",
                "num_images",
            ),
            sources=_SOURCES,
            optional=("decisions",),
            reads=_READS,
            on_page=True,
            empty=_EMPTY,
        ),
    ),
    charts=(
        Chart(
            "error_consistency",
            title="Error consistency",
            tables=("error_consistency",),
            drawn=("kappa",),
            empty="There are no two models, or all are always right or always wrong.",
            note="perturb.experiments.error_consistency.notes:images_and_conditions",
            is_of_runs=True,
        ),
    ),
    relations={"error_kappas": "perturb.experiments.error_consistency.relation:error_kappas"},
    shows="perturb.experiments.error_consistency.shows:of_families",
)
