"""Error consistency against scikit-learn, its bounds and intervals, and people's decisions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import cohen_kappa_score

from perturb.config import load_config
from perturb.experiments.error_consistency.decisions import faults_of
from perturb.experiments.error_consistency.kappa import Consistency, consistencies
from perturb.experiments.error_consistency.notes import images_and_conditions
from perturb.plan.paths import Paths
from perturb.plan.products import table_sources, tables_read
from perturb.plan.sources import faulty_decisions, missing_files
from perturb.plan.stores import stores_of_dataset
from perturb.tables.run import make_table
from tests.hand_made import decided, resnet, vit, written
from tests.study_tables import rows_where, sql


def consistency(*conditions: tuple[str, str]) -> Consistency:
    """Return the consistency of two deciders, from their outcomes under each condition."""
    letters = [[[letter == "1" for letter in one] for one in pair] for pair in conditions]
    return next(consistencies(np.array(letters).transpose(0, 2, 1)))


def test_kappa_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    is_right = random.random((1, 200, 6)) < np.linspace(0.2, 0.9, 6)
    for place, found in enumerate(consistencies(is_right)):
        for at, value in enumerate(found.kappa):
            pair = is_right[0, :, place], is_right[0, :, place + 1 + at]
            assert value == pytest.approx(cohen_kappa_score(*pair))


@pytest.mark.parametrize(
    ("one", "other", "kappa", "least", "most"),
    [
        ("1100", "1100", 1.0, -1.0, 1.0),
        ("1100", "0011", -1.0, -1.0, 1.0),
        ("1100", "1010", 0.0, -1.0, 1.0),
        # Accuracies 3/4 and 1/2: they agree by chance on half, at least on 1/4, at most on 3/4.
        ("1110", "1100", 0.5, -0.5, 0.5),
        ("1111", "1100", 0.0, 0.0, 0.0),
    ],
)
def test_bounds_follow_from_the_accuracies(
    one: str, other: str, kappa: float, least: float, most: float
) -> None:
    found = consistency((one, other))
    assert (found.kappa[0], found.least[0], found.most[0]) == pytest.approx((kappa, least, most))


@pytest.mark.parametrize("outcomes", [("1111", "1111"), ("0000", "0000")])
def test_two_that_never_err_have_no_kappa(outcomes: tuple[str, str]) -> None:
    found = consistency(outcomes)
    assert np.isnan(found.kappa[0])
    assert found.num_conditions[0] == 0


def test_conditions_are_averaged_and_not_pooled() -> None:
    """Pooled, an easy and a hard condition would make independent models consistent."""
    found = consistency(("1110", "1101"), ("1000", "0100"), ("1111", "1111"))
    one, other = consistency(("1110", "1101")), consistency(("1000", "0100"))
    assert found.kappa[0] == pytest.approx((one.kappa[0] + other.kappa[0]) / 2)
    assert found.num_conditions[0] == 2
    assert found.kappa[0] < cohen_kappa_score(list("11101000"), list("11010100"))


def test_an_image_adds_what_kappa_loses_without_it() -> None:
    random = np.random.default_rng(3)
    difficulty = random.normal(size=(1, 400, 1)) + np.array([0.0, 0.7])[:, None, None]
    is_right = difficulty + random.normal(size=(2, 400, 3)) < np.array([0.2, 0.6, 1.0])
    found = next(consistencies(is_right))
    without = np.array(
        [next(consistencies(np.delete(is_right, i, axis=1))).kappa for i in range(400)]
    )
    jackknife = 399 / 400 * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    assert found.influence.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert (found.influence**2).sum(axis=0) / 400**2 == pytest.approx(jackknife, rel=0.03)


def test_every_pair_is_there_twice_within_its_bounds(made: Callable[[str], pa.Table]) -> None:
    rows = made("error_consistency").to_pylist()
    kappas = {(row["test_set"], row["decider"], row["other_decider"]): row for row in rows}
    assert {row["test_set"] for row in rows} == {
        *("clean", "corruptions", "renditions", "natural_adversarial", "cue_conflict")
    }
    assert len(rows) == 5 * 15 * 14
    for (test_set, one, other), row in kappas.items():
        assert row["kappa"] == kappas[test_set, other, one]["kappa"]
        assert row["least_kappa"] - 1e-12 <= row["kappa"] <= row["most_kappa"] + 1e-12
        assert -1 <= row["kappa_low"] < row["kappa"] < row["kappa_high"] <= 1
        assert row["num_conditions"] == (75 if test_set == "corruptions" else 1)


def test_means_are_over_the_pairs_of_two_families(made: Callable[[str], pa.Table]) -> None:
    pairs = made("error_consistency")
    [within] = rows_where(
        made("error_consistency_means"),
        test_set="clean",
        one_family="ViTs",
        other_family_name="ViTs",
    )
    vits = rows_where(pairs, test_set="clean", decider_family="vit", other_family="vit")
    assert within["num_model_pairs"] == len(vits) / 2 == 9 * 8 / 2
    assert within["kappa"] == pytest.approx(np.mean([row["kappa"] for row in vits]))
    width = within["kappa_high"] - within["kappa_low"]
    assert width < min(row["kappa_high"] - row["kappa_low"] for row in vits)


def test_runs_of_one_training_are_no_pair_of_a_family(tmp_path: Path) -> None:
    models = [vit("v", 8), vit("v-2", 8, entry="v", run=2), vit("w", 8, size="B"), resnet("r")]
    models = [{"entry": model["model"], **model} for model in models]
    outcomes = {"v": "110100", "v-2": "110010", "w": "101010", "r": "010110"}
    rows = [row for model, letters in outcomes.items() for row in decided(model, letters)]
    sources = {**written(tmp_path, models, rows), "decisions": []}
    means = make_table("error_consistency_means", sources)
    counts = {
        (row["one_family"], row["other_family_name"]): row["num_model_pairs"]
        for row in means.to_pylist()
    }
    assert counts == {("ViTs", "ViTs"): 2, ("ResNets", "ViTs"): 3}


def test_more_models_than_a_word_has_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    models = [vit(f"v{place:02d}", 8) for place in range(64)]
    letters = {
        model["model"]: "".join(map(str, random.integers(0, 2, 30).tolist())) for model in models
    }
    rows = [row for model, outcomes in letters.items() for row in decided(model, outcomes)]
    table = make_table("error_consistency", {**written(tmp_path, models, rows), "decisions": []})
    for one, other in (("v00", "v01"), ("v59", "v60"), ("v00", "v63"), ("v62", "v63")):
        [row] = rows_where(table, decider=one, other_decider=other)
        expected = cohen_kappa_score(list(letters[one]), list(letters[other]))
        assert row["kappa"] == pytest.approx(expected)


def test_a_model_that_lacks_an_image_is_refused(tmp_path: Path) -> None:
    rows = [*decided("v", "1101"), *decided("r", "101")]
    sources = {**written(tmp_path, [vit("v", 8), resnet("r")], rows), "decisions": []}
    with pytest.raises(ValueError, match="test set clean: a model lacks images that others have"):
        make_table("error_consistency", sources)


@pytest.mark.parametrize(("fog", "frost"), [((0, 1, 2, 3), (0, 1, 2, 4)), ((0, 1, 2), range(5))])
def test_conditions_on_other_images_are_refused(
    fog: Sequence[int], frost: Sequence[int], tmp_path: Path
) -> None:
    """Even if all together are as many as if they were on the same ones."""
    corrupted = {"perturbation": "corruptions", "severity": 1.0}
    rows = []
    for model in ("v", "r"):
        rows += decided(model, "11010")
        for name, images in (("fog", fog), ("frost", frost)):
            all_images = decided(model, "11010", **corrupted, condition=name)
            rows += [all_images[image] for image in images]
    sources = {**written(tmp_path, [vit("v", 8), resnet("r")], rows), "decisions": []}
    with pytest.raises(ValueError, match="test set corruptions: a model lacks images that others"):
        make_table("error_consistency", sources)


def test_the_note_names_the_most_conditions_of_a_pair() -> None:
    names = {"test_set_label": ["Clean"] * 2 + ["Corruptions"] * 2, "num_images": [9] * 4}
    kappas = pa.table({**names, "num_conditions": [1, 1, 75, 70]})
    assert images_and_conditions(kappas) == "9 images. Corruptions: means over up to 75 conditions."
    kappas = pa.table({**names, "num_conditions": [1, 1, 75, 75]})
    assert images_and_conditions(kappas) == "9 images. Corruptions: means over 75 conditions."


IMAGES = ("cat/cat1-dog1.png", "cat/cat2-dog1.png", "dog/dog1-cat1.png", "dog/dog2-cat2.png")
HEADER = "subj,Session,trial,rt,object_response,category,condition,imagename"


def trials(subject: str, answers: str, images: tuple[str, ...] = IMAGES) -> list[str]:
    """Return the lines of a person's trials, with the answers in words, in the images' order."""
    lines = []
    for place, (answer, image) in enumerate(zip(answers.split(), images, strict=True)):
        folder, _, file = image.partition("/")
        name = f"{place:04d}_cue_{subject}_0_{folder}_00_{file}"
        lines.append(f"{subject},1,{place},0.5,{answer},{folder},0,{name}")
    return lines


def study(folder: Path, *files: list[str]) -> dict[str, Any]:
    """Return the sources of a study of two models on four stimuli, and files of decisions."""
    conflict = {"dataset": "conflict"}
    rows = []
    for model, letters in (("v", "1010"), ("r", "1100")):
        rows += decided(model, "1110" if model == "v" else "1011")
        for row, image in zip(decided(model, letters, **conflict), IMAGES, strict=True):
            rows.append({**row, "image_id": image, "target": int(image.startswith("dog"))})
    sources = written(folder, [vit("v", 8), resnet("r")], rows)
    datasets = pq.read_table(sources["datasets"]).to_pylist()
    marked = [{**row, "has_decisions": row["dataset"] == "conflict"} for row in datasets]
    pq.write_table(pa.Table.from_pylist(marked), sources["datasets"])
    paths = []
    for place, lines in enumerate(files):
        paths.append(folder / f"{place}.csv")
        paths[-1].write_text("\n".join([HEADER, *lines]) + "\n")
    return {**sources, "decisions": paths}


ALL_RIGHT_BUT_ONE = "cat cat dog na"
TWO_RIGHT = "cat dog cat dog"


def test_people_are_rows_like_models(tmp_path: Path) -> None:
    sources = study(tmp_path, trials("s1", ALL_RIGHT_BUT_ONE), trials("s2", TWO_RIGHT))
    table = make_table("error_consistency", sources)
    rows = rows_where(table, test_set="cue_conflict", decider="v")
    kappas = {row["other_decider"]: row["kappa"] for row in rows}
    model = [1, 0, 1, 0]
    expected = {
        "r": cohen_kappa_score(model, [1, 1, 0, 0]),
        "s1": cohen_kappa_score(model, [1, 1, 1, 0]),  # `na` is wrong
        "s2": cohen_kappa_score(model, [1, 0, 0, 1]),
    }
    expected["human"] = (expected["s1"] + expected["s2"]) / 2
    assert kappas == pytest.approx(expected)
    assert {row["num_model_pairs"] for row in rows} == {1, 2}
    people = rows_where(table, decider="s1", other_decider="s2")
    assert [row["test_set"] for row in people] == ["cue_conflict"]
    assert people[0]["decider_label"] == "Human s1"
    means = make_table("error_consistency_means", sources)
    [between] = rows_where(means, one_family="ViTs", other_family_name="Humans")
    assert between["kappa"] == pytest.approx(expected["human"])
    [among] = rows_where(means, one_family="Humans", other_family_name="Humans")
    assert among["num_model_pairs"] == 1


def test_trials_on_images_that_the_study_leaves_out_do_not_count(tmp_path: Path) -> None:
    more = (*IMAGES, "cat/cat1-cat2.png")
    lines = trials("s1", f"{TWO_RIGHT} cat", more)
    found = make_table("error_consistency", study(tmp_path, lines))
    assert {row["num_images"] for row in rows_where(found, decider="s1")} == {4}


def test_all_that_is_wrong_with_decisions_is_told_at_once(tmp_path: Path) -> None:
    first = trials("s1", "cat cat dgo", IMAGES[:3])
    second = [*trials("s2", TWO_RIGHT), trials("s2", TWO_RIGHT)[0]]
    third = [line.replace(",dog,0,", ",cat,0,") for line in trials("v", TWO_RIGHT)]
    with pytest.raises(ValueError, match="decisions") as raised:
        make_table("error_consistency", study(tmp_path, first, second, third))
    assert str(raised.value).splitlines() == [
        "table error_consistency: decisions: category cat is that of images of 2 classes, such as "
        "cat/cat1-dog1.png and dog/dog2-cat2.png; allowed: one",
        "decisions: category is cat, dog for images of one class, such as dog/dog1-cat1.png; "
        "allowed: one",
        "decisions: object_response is dgo in 1 trials; allowed: cat, dog, or na for no answer",
        "decisions: s1 has none on 1 of 4 images, such as dog/dog2-cat2.png; expected: one on "
        "every image, found by the end of `imagename`",
        "decisions: s2 has several on 1 images, such as cat/cat1-dog1.png; allowed: one trial an "
        "image",
        "decisions: subj is v, which is also the id of a model",
    ]


_TRIAL = "s1,1,1,0.5,cat,cat,0,cat1.png"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{HEADER}\n{_TRIAL}\n\n", None),
        (
            "subj,trial,category\n",
            " has no column object_response, imagename; needed: subj, object_response, category, "
            "imagename",
        ),
        ("", " has no column subj, object_response, category, imagename; needed: subj, object_res"),
        (f"{HEADER}\n", " has no trial, only the names of its columns"),
        (f"{HEADER}\n{_TRIAL}\ns1,1,2,0.5\n", ", line 3, has 4 values; its header has 8"),
        (f"{HEADER}\n{_TRIAL},dog\n", ", line 2, has 9 values; its header has 8"),
        (
            f"{HEADER}\n{_TRIAL}\n{_TRIAL[2:]}\n ,{_TRIAL[3:]}\n".replace("\n1,", "\n,1,"),
            ", line 3: subj is empty (2 in all); needed: one in every trial",
        ),
        (
            f"{HEADER}\n{_TRIAL.replace('cat,cat', ',cat')}\n",
            ", line 2: object_response is empty (1 in all); needed: na for no answer",
        ),
    ],
)
def test_a_faulty_file_is_told_before_anything_runs(
    text: str, fault: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "trials.csv"
    file.write_text(text)
    found = faults_of([file])
    if fault is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(f"{file}{fault}")


def test_what_is_no_file_of_text_is_told(tmp_path: Path) -> None:
    assert faults_of([tmp_path]) == [f"{tmp_path} cannot be read: Is a directory"]
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    assert faults_of([tmp_path / "a.csv"]) == [f"{tmp_path / 'a.csv'} is no CSV file in UTF-8"]


def test_faulty_files_are_refused_where_the_table_is_made(tmp_path: Path) -> None:
    """Also if they changed since the study was planned."""
    sources = study(tmp_path, trials("s1", TWO_RIGHT), ["s2,1,2"], [])
    with pytest.raises(ValueError, match="decisions") as raised:
        make_table("error_consistency", sources)
    assert str(raised.value).splitlines() == [
        f"decisions: {tmp_path / '1.csv'}, line 2, has 3 values; its header has 8",
        f"decisions: {tmp_path / '2.csv'} has no trial, only the names of its columns",
    ]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (("0",), None),
        (("0", "0.0", "", "nan"), None),
        (("", "na"), None),
        (("sketch",), None),
        (("c01", "c100", "c03"), "c01, c03, c100"),
        (("0.0", "c50"), "0, c50"),
        (("true", "false"), "false, true"),
    ],
)
@pytest.mark.parametrize("is_in_one_file", [True, False])
def test_decisions_are_of_one_condition(
    conditions: Sequence[str], said: str | None, is_in_one_file: bool, tmp_path: Path
) -> None:
    """Else trials on faint images would be joined to the unchanged ones of their name."""
    lines = [_TRIAL.replace(",0,", f",{condition},") for condition in conditions]
    parts = [lines] if is_in_one_file else [[line] for line in lines]
    files = [tmp_path / f"{place}.csv" for place in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        file.write_text("\n".join([HEADER, *part]))
    found = faults_of(files)
    if said is None:
        assert found == []
    else:
        [fault] = found
        assert fault == (
            f"{', '.join(map(str, files))}: `condition` is {said}; allowed: one for all trials, as "
            "a dataset has the images of one condition"
        )


def test_files_of_decisions_are_inputs_and_checked_before_jobs(
    tiny_study: dict[str, Any], tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("whole.csv", "part.csv", "none.csv", "folder")]
    files[3].mkdir()
    files[0].write_text(f"{HEADER}\n{_TRIAL}\n")
    files[1].write_text("subj\n")
    tiny_study["datasets"]["test"]["decisions"] = list(map(str, files))
    tiny_study["results"] = str(tmp_path / "results")
    config = load_config(tiny_study)
    # Snakemake would name a missing input without the key.
    there = list(map(str, files[:2]))
    assert table_sources(config, "error_consistency")["decisions"] == there
    assert set(there) <= set(tables_read(config))
    refused = [
        f"datasets.test.decisions.2: {files[2]} does not exist",
        f"datasets.test.decisions.3: {files[3]} is no file",
    ]
    assert missing_files(config) == refused
    # Decisions are often added to a study whose images are decoded.
    for store in stores_of_dataset(config, "test"):
        manifest = Path(Paths(config.results).manifest(store))
        manifest.parent.mkdir(parents=True)
        manifest.touch()
    assert missing_files(config) == refused
    [fault] = faulty_decisions(config)
    assert fault.startswith(f"datasets.test.decisions: {files[1]} has no column object_response")
    files[1].write_text(f"{HEADER}\n{_TRIAL.replace(',0,', ',c05,')}\n")
    [fault] = faulty_decisions(config)
    assert fault.startswith(
        f"datasets.test.decisions: {files[0]}, {files[1]}: `condition` is 0, c05; allowed: one for"
    )


def test_the_interval_covers(tmp_path: Path) -> None:
    """Of two models of known consistency on 100 images, 300 times."""
    random = np.random.default_rng(5)

    def outcomes(num_images: int) -> np.ndarray:
        difficulty = random.normal(size=(num_images, 1))
        return difficulty + random.normal(size=(num_images, 2)) < np.array([0.4, 0.9])

    truth = cohen_kappa_score(*outcomes(400_000).T)
    samples = [next(consistencies(outcomes(100)[None])) for _ in range(300)]
    pq.write_table(
        pa.table(
            {
                "kappa": [found.kappa[0] for found in samples],
                "reach": [found.reach[0] for found in samples],
                "d2": [(found.influence**2).sum() for found in samples],
                "d4": [(found.influence**4).sum() for found in samples],
            }
        ),
        tmp_path / "samples.parquet",
    )
    covered = sql(
        f"(SELECT avg((abs(kappa - {truth}) < z95() * sqrt(contrast_variance(0, d2, d4, 100, reach)"
        f"))::INTEGER) FROM '{tmp_path}/samples.parquet')"
    )
    assert covered >= 0.93
