"""Time of a finished run by rule, and the fraction of start-up.

Run: ``python -m benchmarks.breakdown`` in the folder of a finished run. Snakemake's own records
contain the start and end of each job; the start-up of a job is measured as in `benchmarks.startup`
for the imports of its rule. Seconds are wall time of one job on one core, summed over the jobs of a
rule.
"""

import ast
import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks.startup import run_once

SCRIPTS = Path(__file__).parents[1] / "scripts"


def imports_of(rule: str) -> str:
    """Return the import statements of a rule's script; one of several outputs shares it."""
    script = next(path for name in (rule, f"{rule}s") if (path := SCRIPTS / f"{name}.py").exists())
    found = [
        ast.unparse(node)
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return "\n".join(found)


def read_jobs(metadata: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the start and end of every job by rule."""
    jobs: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for record in map(json.loads, (file.read_text() for file in metadata.iterdir())):
        if record["endtime"] is not None:
            # One record an output; the outputs of one job share its log.
            # The rules of one script differ by a number.
            rule = re.sub(r"_\d+$", "", record["rule"])
            jobs[rule][record["log"][0]] = (record["starttime"], record["endtime"])
    return {rule: list(of_rule.values()) for rule, of_rule in jobs.items()}


def startup_seconds(code: str, num_rounds: int = 3) -> float:
    """Return the median wall seconds of an interpreter with these imports."""
    run_once(code)
    return statistics.median(run_once(code)[0] for _ in range(num_rounds))


def main() -> None:
    """Write the table to standard output."""
    jobs = read_jobs(Path(".snakemake/metadata"))
    if not jobs:
        raise SystemExit("no records of a run under .snakemake/metadata; run the workflow first")
    times = [time for of_rule in jobs.values() for job in of_rule for time in job]
    total = {rule: sum(end - start for start, end in of_rule) for rule, of_rule in jobs.items()}
    startups = {rule: startup_seconds(imports_of(rule)) * len(jobs[rule]) for rule in jobs}
    lines = [f"{'rule':<20}{'jobs':>6}{'seconds':>10}{'share':>8}{'start-up':>10}"]
    for rule in sorted(total, key=lambda rule: -total[rule]):
        share = total[rule] / sum(total.values())
        row = f"{rule:<20}{len(jobs[rule]):>6}{total[rule]:>10.1f}{share:>8.0%}"
        lines.append(f"{row}{startups[rule]:>10.1f}")
    seconds, startup = sum(total.values()), sum(startups.values())
    lines.append(f"{'sum':<20}{'':>6}{seconds:>10.1f}{1:>8.0%}{startup:>10.1f}")
    lines.append(f"first start to last end: {max(times) - min(times):.0f} s")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
