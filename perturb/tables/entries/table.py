"""What an entry is made of, and the words and inputs that several entries share."""

from dataclasses import dataclass

# How the intervals come about; captions repeat it so that each table stands alone.
WILSON = "Brackets: 95 % interval, Wilson's."
CLUSTERED = (
    "Brackets: 95 % interval; Wilson's where an image is decided once, clustered by image where "
    "the same image is decided under many corruptions and severities."
)
SAMPLES = (
    "Brackets: 95 % interval over images, Wilson's where an image is decided once, clustered by "
    "image where it is decided once a sample."
)
PAIRED = "Brackets: 95 % interval, paired by image."
SAME_IMAGES = (
    "Where only a part of the clean images is changed, the accuracy on the same images unchanged "
    "stands beside."
)
IMAGES = "It covers the sampling of test images; the models are taken as they are."

DECISIONS = ("decisions", "models", "datasets")
CORRUPTIONS = ("cells", "corruption_decisions")
OUTCOMES = ("benchmark_models", *CORRUPTIONS, "test_sets", "image_outcomes")
ATTACKS = (*OUTCOMES, "attack_outcomes")
CHANGES = (*OUTCOMES, "model_outcomes")
# What is held against the clean accuracy on the same images.
CLEAN = "clean_outcomes"
CONTRASTS = ("series", "matched", "patch_pairs", "contrasts")


@dataclass(frozen=True)
class Pivot:
    """A long table shown wide: a column of values for each entry of `names`.

    keys : what tells rows apart beside the columns shown.
    beside : a column with the value on the same images without the change. It stands before the
        values of an entry unless another column shows the same already.
    """

    names: str
    values: str
    keys: tuple[str, ...] = ()
    beside: str | None = None


@dataclass(frozen=True)
class Table:
    """One table: its words, its inputs, and the columns that readers see.

    empty : what stands in the place of the rows where a study has none.
    optional : those of the sources that a study may not have: an empty list of files will do.
    reads : the perturbations whose decisions it is made from, so that it opens no other shards;
        empty: all of them.
    parameters : values that the queries read by `getvariable`.
    needs : what must all be in a study for the table to exist: perturbations, `cue_conflict` (a
        data set of that role), `patterns`, `correlations`, `paper`, `published`. Empty: every
        study has it.
    """

    title: str
    caption: str
    sources: tuple[str, ...]
    relations: tuple[str, ...]
    shown: tuple[str, ...]
    pivot: Pivot | None = None
    optional: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    empty: str = "No row: no model of this study has such a number."
