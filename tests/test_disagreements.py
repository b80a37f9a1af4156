"""The choice of images on which models differ, class names for readers, and sprites."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from perturb.examples.answers import Answers, read_answers
from perturb.examples.choice import chosen, most_split, num_shown, pair_counts, worst
from perturb.examples.class_names import class_names
from perturb.examples.sprites import layout, write_sprite


def _answers(is_correct: list[list[int]], confidences: list[list[float]] | None = None) -> Answers:
    right = np.array(is_correct, bool)
    sure = np.full(right.shape, 0.5) if confidences is None else np.array(confidences)
    models = tuple("abcdefgh"[: len(right)])
    ids = {"one": pa.array([str(place) for place in range(right.shape[1])])}
    return Answers(models, ids, np.zeros(right.shape, int), right, sure)


def test_images_of_even_votes_come_first_then_those_of_sure_answers() -> None:
    right = [[1, 1, 1, 0, 1, 1], [1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 0, 0], [1, 0, 1, 0, 1, 0]]
    sure = [[0.5, 0.5, 0.5, 0.5, 0.9, 0.5]] * 4
    # Correct of four: 4, 2, 3, 0, 3, 1. The first and the fourth split nobody.
    assert most_split(_answers(right, sure)) == [1, 4, 2, 5]


def test_the_worst_images_are_wrong_with_confidence() -> None:
    answers = _answers([[1, 0, 0, 0], [1, 1, 1, 1]], [[1.0, 0.3, 0.9, 0.6], [0.9] * 4])
    assert [rows.tolist() for rows in worst(answers)] == [[2, 3, 1], []]


def test_every_two_models_get_images_for_either_side() -> None:
    generator = np.random.default_rng(0)
    answers = _answers(
        (generator.random((5, 400)) < 0.6).tolist(), generator.random((5, 400)).tolist()
    )
    found = chosen(answers, num_shown(5))
    assert len(found) == len(set(found)) == num_shown(5) == 160
    right = answers.is_correct[:, found]
    for first in range(5):
        for second in set(range(5)) - {first}:
            assert (right[first] & ~right[second]).sum() >= 4
    assert all(set(rows.tolist()) <= set(found) for rows in worst(answers))
    assert found[:53] == most_split(answers)[:53]


def test_a_pair_that_differs_on_few_images_gets_its_most_confident_ones() -> None:
    # Models a and b differ on the last three images alone; c differs from both everywhere else.
    right = np.ones((3, 203), int)
    right[2, :200] = 0
    right[0, 200:] = 0
    right[2, 200:] = 0
    sure = np.full((3, 203), 0.9)
    sure[:, 200:] = [[0.1, 0.3, 0.2]] * 3
    answers = _answers(right.tolist(), sure.tolist())
    found = chosen(answers, 60)
    assert len(found) == 60
    assert {200, 201, 202} <= set(found)


@pytest.mark.parametrize("models", [1, 2, 15, 60, 500])
def test_the_number_of_images_is_limited(models: int) -> None:
    assert num_shown(models) == {1: 128, 2: 136, 15: 240, 60: 600, 500: 600}[models]
    answers = _answers([[0, 1] * 400] * min(models, 8))
    assert len(chosen(answers, 10)) <= 10


def test_models_that_are_always_right_differ_on_nothing() -> None:
    answers = _answers([[1, 1, 1], [1, 1, 1]])
    assert chosen(answers, 100) == []
    assert pair_counts(answers) == [["a", "b", 0, 0, "one"]]


def test_counts_of_a_pair_are_by_dataset() -> None:
    whole = _answers([[1, 1, 0, 0, 1], [0, 1, 1, 1, 0]])
    ids = {"one": pa.array(["0", "1"]), "other": pa.array(["0", "1", "2"])}
    answers = Answers(whole.models, ids, whole.predictions, whole.is_correct, whole.confidences)
    assert pair_counts(answers) == [["a", "b", 1, 0, "one"], ["a", "b", 1, 2, "other"]]


def _shard(path: Path, image_ids: list[str], predictions: list[int]) -> Path:
    columns = {
        "image_id": image_ids,
        "prediction": pa.array(predictions, pa.int16()),
        "is_correct": [prediction == 1 for prediction in predictions],
        "confidence": pa.array([0.5] * len(image_ids), pa.float32()),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_answers_are_in_the_order_of_the_first_model(tmp_path: Path) -> None:
    shards = {
        ("a", "one"): _shard(tmp_path / "a", ["x", "y", "z"], [1, 2, 3]),
        ("b", "one"): _shard(tmp_path / "b", ["z", "x", "y"], [6, 4, 5]),
    }
    found = read_answers(shards)
    assert found.predictions.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found.is_correct.tolist() == [[True, False, False], [False] * 3]


def test_all_faulty_shards_are_named_at_once(tmp_path: Path) -> None:
    Path(tmp_path / "cut").write_bytes(b"PAR1")
    shards = {
        ("a", "one"): _shard(tmp_path / "a", ["x", "y"], [1, 2]),
        ("b", "one"): _shard(tmp_path / "b", ["x", "w"], [1, 2]),
        ("c", "one"): _shard(tmp_path / "c", ["x", "y", "w"], [1, 2, 3]),
        ("d", "one"): tmp_path / "cut",
        ("a", "two"): _shard(tmp_path / "e", ["x"], [1]),
    }
    with pytest.raises(ValueError, match="cannot be read") as caught:
        read_answers(shards)
    told = str(caught.value)
    for part in (
        "b: misses image 'y'; expected: the 2 of other models",
        "c: has 3 images; expected: the 2 of other models",
        "cut: cannot be read",
        "there is no shard of 'b' on the images of 'two'",
        "there is no shard of 'd' on the images of 'two'",
    ):
        assert part in told


def _manifest(names: dict[str, int] | None = None, **columns: list[int]) -> pa.Table:
    table = pa.table({"target": [0, 1], **columns})
    if names is None:
        return table
    note = {"classes": {"given_by": "order", "are_folders": True, "names": names}}
    return table.replace_schema_metadata({"perturb": json.dumps(note)})


def test_classes_have_names_where_they_are_known(tmp_path: Path) -> None:
    coarse = tmp_path / "coarse.json"
    coarse.write_text(json.dumps({"bird": [0, 1], "dog": [2]}))
    assert class_names([_manifest(texture=[1, 2])], None, 9)[9] == "bow tie"
    assert class_names([_manifest({"cat": 0, "dog": 1})], None, 2) == ["cat", "dog", "2"]
    assert class_names([_manifest({"n01440764": 0, "n99999999": 1})], None, 1) == [
        "tench",
        "n99999999",
    ]
    assert class_names([_manifest({"cat": 0})], str(coarse), 1) == ["bird", "dog"]
    assert class_names([_manifest()], None, 1) == ["0", "1"]
    part, whole = _manifest({"dog": 1}), _manifest({"cat": 0, "hound": 1})
    assert class_names([part, whole], None, 1) == ["cat", "dog"]


def _sheet(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(float)


@pytest.mark.parametrize(("side", "tile"), [(32, 64), (48, 96), (64, 64), (96, 96), (224, 96)])
def test_small_pictures_are_doubled_and_large_ones_scaled_down(
    side: int, tile: int, tmp_path: Path
) -> None:
    colours = torch.tensor([[250, 10, 10], [10, 10, 250], [128, 128, 128]], dtype=torch.uint8)
    pictures = [colour[:, None, None].expand(3, side, side) for colour in colours]
    found = write_sprite(tmp_path / "sprite.webp", [*pictures, None, pictures[0].float() / 255])
    assert found == {"tile": tile, "columns": 20}
    sheet = _sheet(tmp_path / "sprite.webp")
    assert sheet.shape == (tile, 20 * tile, 3)
    expected = [*colours.tolist(), [255, 255, 255], colours[0].tolist()]
    for place, colour in enumerate(expected):
        middle = sheet[tile // 2, place * tile + tile // 2]
        assert np.abs(middle - colour).max() < 12


def test_a_corrupted_small_picture_keeps_its_colours(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=generator)
    write_sprite(tmp_path / "sprite.webp", [noise])
    pixels = _sheet(tmp_path / "sprite.webp")[:64, :64].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    wanted = noise.permute(1, 2, 0).double().numpy()
    # Red against blue, which half the resolution of colour would level out.
    shown, there = pixels[..., 0] - pixels[..., 2], wanted[..., 0] - wanted[..., 2]
    assert np.corrcoef(shown.ravel(), there.ravel())[0, 1] > 0.9


def test_a_sprite_of_no_picture_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "sprite.webp"
    assert write_sprite(path, [])["columns"] == 20
    assert _sheet(path).shape[0] > 0


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(0, 170, (20, 1)), (21, 170, (20, 2)), (3_500, 170, (21, 167)), (9, 3, (3, 3))],
)
def test_a_sprite_fits_into_one_file(count: int, most: int, expected: tuple[int, int]) -> None:
    assert layout(count, most) == expected


def test_more_pictures_than_a_file_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="sprite: 10 pictures; allowed: 9 of this size"):
        layout(10, 3)
