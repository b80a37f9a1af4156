"""Which networks `compile` compiles: all, none, or those whose passes pay for it."""

from typing import Any

import pytest

from perturb.config import ConfigError, load_config
from perturb.cost.compilation import compiled_models
from perturb.plan.cells import cells
from tests.workspace import ROOT
