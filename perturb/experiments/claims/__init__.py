"""Claims of the paper, each as a statistic with an interval and a verdict."""

from perturb.experiments.declaration import (
    PREDICTIONS,
    Experiment,
    Source,
    Table,
)

EXPERIMENT = Experiment(
    title="Claims of the paper",
    references=(
        "bhojanapalli2021understanding",
        "holm1979simple",
        "satterthwaite1946approximate",
        "cochran1964approximate",
    ),
    sources=(Source("claim_rules", types={"threshold": "DOUBLE", "minimum_models": "INTEGER"}),),
    tables=(
        Table(
            "claims",
            title="The paper's claims",
            relations=(
                "corruption_images",
                "attack_outcomes",
                "spatial_outcomes",
                "claim_statistics",
            ),
            shown=(
                "claim",
                "test_set_label",
                "statistic",
                "estimate",
                "threshold",
                "verdict",
                "p_value",
                "p_holm",
                "holds_at",
                "disagreeing",
                "p_disagreement",
                "p_disagreement_all",
                "num_models",
                "num_images",
                "paper",
            ),
            sources=(*PREDICTIONS, "claim_rules", "stimuli", "patterns", "representations"),
            optional=("stimuli", "patterns", "representations"),
            parameters=("headline_epsilon",),
        ),
    ),
    relations={
        "rank_correlations": "perturb.experiments.claims.correlations:rank_correlation_relation"
    },
)
