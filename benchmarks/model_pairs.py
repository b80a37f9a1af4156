"""Time and memory of the sums for the difference of every two models, on made-up predictions.

Run: ``python -m benchmarks.model_pairs --models 60 --images 50000 --measures 30``.
"""

import argparse
import logging
import resource
import time

import duckdb
import pyarrow as pa

from perturb.experiments.comparison.relation import measure_pairs

logger = logging.getLogger(__name__)

_PER_IMAGE = 5  # predictions, as of a corruption at its severities


def main() -> None:
    """Log the CPU time of all pairs, and the most memory that the process had."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=60)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--measures", type=int, default=30)
    arguments = parser.parse_args()
    with duckdb.connect(config={"threads": 1}) as connection:
        _make_up(connection, arguments.models, arguments.images, arguments.measures)

        def fetch(query: str) -> pa.Table:
            return connection.sql(query).to_arrow_table()

        start = time.process_time()
        pairs = measure_pairs(fetch, {})
        seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    logger.info("%d rows: %.1f s of CPU, at most %.2f GB", pairs.num_rows, seconds, memory)


def _make_up(
    connection: duckdb.DuckDBPyConnection, models: int, images: int, measures: int
) -> None:
    """Make the relations that `measure_pairs` reads, with predictions that depend on nothing."""
    names = ", ".join(f"'model-{number:03d}'" for number in range(models))
    connection.execute(f"CREATE TYPE model_id AS ENUM ({names})")
    connection.execute(
        "CREATE TABLE entry_places AS SELECT ('model-' || printf('%03d', range))::model_id AS "
        f"model, range AS place, 1 AS run FROM range({models})"
    )
    connection.execute(
        "CREATE TABLE paired_measures AS SELECT 'measure-' || range AS measure, range AS position, "
        f"0 AS place, false AS is_line, 'outcomes' AS relation FROM range({measures})"
    )
    connection.execute(
        "CREATE VIEW outcomes AS SELECT measure, model, images.range::INTEGER AS image, "
        f"(hash(images.range, model, measure) % {_PER_IMAGE + 1})::DOUBLE AS value, "
        f"{_PER_IMAGE} AS num_predictions "
        f"FROM paired_measures, entry_places, range({images}) AS images"
    )


if __name__ == "__main__":
    main()
