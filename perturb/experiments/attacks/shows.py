"""What the adversarial attacks show in a run."""

from collections.abc import Sequence

from perturb.experiments.sentences import Row, Tables, accuracies, mean, rows_of, within


def strongest_attack(found: Tables) -> str:
    """Return the accuracies under the attack that misleads most at the study's epsilon.

    Of attacks in L2 alone it is the largest epsilon.
    """
    for table, norm in (("adversarial_accuracy", ""), ("adversarial_accuracy_l2", " in L2")):
        rows = rows_of(found, table, is_final=True)
        if rows:
            return _under_strongest(rows, norm)
    return ""


def _under_strongest(rows: Sequence[Row], norm: str) -> str:
    largest = max(row["epsilon"] for row in rows)
    compared = [row for row in rows if row["is_headline"]] or [
        row for row in rows if row["epsilon"] == largest
    ]
    attacks: dict[str, list[Row]] = {}
    for row in compared:
        attacks.setdefault(row["attack_label"], []).append(row)
    strongest = min(attacks, key=lambda attack: mean(attacks[attack], "accuracy"))
    of = attacks[strongest]
    which = (
        f"The strongest of {len(attacks):,} attacks, {within(strongest)},"
        if attacks.keys() > {strongest}
        else strongest
    )
    return (
        f"{which} leaves, at epsilon {of[0]['epsilon_label']}{norm}, {accuracies(of, 'accuracy')}."
    )
