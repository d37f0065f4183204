"""Print pip constraints that hold what pyproject.toml lists to the lowest versions that it allows."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *(one for name in ("data", "demo", "sweep", "test") for one in extras[name])]:
    if ">=" in requirement:
        print(requirement.replace(">=", "=="))
