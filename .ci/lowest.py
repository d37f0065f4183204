"""Print pip constraints that hold what pyproject.toml lists to the lowest versions that it allows."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
requirements = list(project["dependencies"])
for extra in ("data", "demo", "sweep", "test"):
    requirements += project["optional-dependencies"][extra]
print("\n".join(one.replace(">=", "==") for one in requirements if ">=" in one))
