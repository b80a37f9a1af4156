"""Configuration of Sphinx, which builds the documentation: ``make docs``.

The sources are the Markdown files where they are, so the root of the repository is the source
folder; the pages of the experiments are made from their declarations first.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from docs.docstrings import RESULT  # noqa: E402
from docs.experiment_pages import write_pages  # noqa: E402
from perturb import __version__  # noqa: E402

write_pages(ROOT / "docs" / "experiments")

project = "Perturb"
author = "The Perturb developers"
copyright = author
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docs.docstrings",
    "sphinx.ext.napoleon",
    "docs.mathml",
]
source_suffix = {".md": "markdown"}
SEARCHED = ("config", "docs", "envs", "resources", "slurm", "tests")
root_doc = "docs/index"
include_patterns = ["*.md", "*/*.md", "docs/experiments/*.md", "tests/peers/*.md"]
include_patterns += ["tests/real/*.md"]
# No other folder is searched: results may hold any number of files.
exclude_patterns = [
    folder.name for folder in ROOT.iterdir() if folder.is_dir() and folder.name not in SEARCHED
]
exclude_patterns += ["docs/_build", "tests/data"]

myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
default_role = "literal"
napoleon_attr_annotations = False
napoleon_use_ivar = True
napoleon_custom_sections = [RESULT]

html_theme = "furo"
html_title = f"Perturb {release}"
html_math_renderer = "mathml"
html_extra_path = ["_extra"]
html_copy_source = False
html_show_sourcelink = False
html_static_path: list[str] = []
