"""Write the offline report page: questions, findings, methods and uncertainty."""

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from perturb.config import load_config
from perturb.logs import log_to
from perturb.page.pictures import picture_caption
from perturb.page.write import PageText, write_page
from perturb.plan.cells import evaluated_datasets
from perturb.plan.origins import check_study
from perturb.plan.settings import write_settings

if TYPE_CHECKING:
    from snakemake.script import snakemake

log_to(snakemake.log[0], snakemake)
configuration, command = snakemake.params.configuration, snakemake.params.command
study = load_config(yaml.safe_load(configuration))
check_study(study)
labels = [study.datasets[dataset].label for dataset in evaluated_datasets(study)]
write_page(
    Path(snakemake.output.page),
    PageText(
        study.title,
        configuration,
        command,
        absent=tuple(snakemake.params.absent.values()),
        left_out=tuple(snakemake.params.left_out),
        study=study,
    ),
    tables={table: Path(snakemake.input[table]) for table in snakemake.params.tables},
    datasets=Path(snakemake.input.study_datasets),
    charts={
        chart: (Path(spec), Path(svg))
        for chart, spec, svg in zip(
            snakemake.params.charts,
            snakemake.input.charts,
            snakemake.input.chart_pictures,
            strict=True,
        )
    },
    contact_sheets=dict(zip(labels, map(Path, snakemake.input.contact_sheets), strict=True)),
    pictures={
        name: (picture_caption(name, patterns=study.patterns), Path(file))
        for name, file in zip(snakemake.params.pictures, snakemake.input.pictures, strict=True)
    },
    examples={file.name: file for file in map(Path, snakemake.input.examples)},
)
write_settings(study, [snakemake.output.page])
