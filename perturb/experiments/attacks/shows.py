"""What the adversarial attacks show in a run."""

from collections.abc import Sequence

from perturb.experiments.sentences import Row, Tables, accuracies, grouped, mean, rows_of, within


def strongest_attack(found: Tables) -> str:
    """Return the accuracies under the attack that misleads most, on the first attacked dataset.

    At the study's epsilon, or at the largest one where no attack has it; of attacks in L2 alone at
    their largest.
    """
    rows = rows_of(found, "adversarial_accuracy", is_final=True)
    if rows:
        headline = [row for row in rows if row["is_headline"]]
        return _under_strongest(headline or _largest(rows, "epsilon"), "epsilon")
    rows = rows_of(found, "adversarial_accuracy_l2", is_final=True)
    return _under_strongest(_largest(rows, "l2_epsilon"), "l2_epsilon") if rows else ""


def _largest(rows: Sequence[Row], epsilon: str) -> list[Row]:
    largest = max(row[epsilon] for row in rows)
    return [row for row in rows if row[epsilon] == largest]


def _under_strongest(rows: Sequence[Row], epsilon: str) -> str:
    # The same attack on another dataset has another label; the clean dataset comes first.
    firsts = {of[0]["attack_label"] for of in grouped(rows, "attack").values()}
    attacks = grouped([row for row in rows if row["attack_label"] in firsts], "attack_label")
    strongest = min(attacks, key=lambda attack: mean(attacks[attack], "accuracy"))
    of = attacks[strongest]
    which = (
        f"The strongest of {len(attacks):,} attacks, {within(strongest)},"
        if len(attacks) > 1
        else strongest
    )
    return f"{which} leaves, at epsilon {of[0][f'{epsilon}_label']}, {accuracies(of, 'accuracy')}."
