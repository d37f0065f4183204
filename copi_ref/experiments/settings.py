"""What several runs have in common and in what they differ, as tables."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from copi_ref.experiments.comparison import Table
from copi_ref.experiments.folder import FinishedRun

SURROUNDINGS = ("environment", "revision", "resumed_by")
"""Keys of a configuration that say where a run was made, and not what it is."""


def common_and_different(runs: Sequence[FinishedRun]) -> tuple[Table, Table | None]:
    """Return the settings that all runs share, and those in which some differ, a row for runs that differ by seed only.

    Args:
        runs: at least one; finished or not, as only their configurations are looked at.

    Returns:
        Names and values; and a column for each setting that differs, with the seeds last, or None where none does.
    """
    settings = [_settings(run.config) for run in runs]
    names = list(dict.fromkeys(name for one in settings for name in one))
    shared = [name for name in names if len({one.get(name) for one in settings}) == 1]
    common = Table(("setting", "value"), tuple((name, settings[0].get(name, "")) for name in shared))
    different = [name for name in names if name not in shared]
    if not different:
        return common, None
    seeds: dict[tuple[str, ...], list[int]] = {}
    for run, one in zip(runs, settings, strict=True):
        seeds.setdefault(tuple(one.get(name, "") for name in different), []).append(run.seed)
    rows = tuple((*values, ", ".join(map(str, sorted(found)))) for values, found in seeds.items())
    return common, Table((*different, "seeds"), rows)


def surroundings_of(runs: Sequence[FinishedRun]) -> Table:
    """Return what the runs were made with: versions, libraries, machine; where they differ, with how many runs each."""
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        for name, value in _flat({key: run.config[key] for key in SURROUNDINGS if key in run.config}):
            counts = found.setdefault(name.removeprefix("environment."), {})
            counts[value] = counts.get(value, 0) + 1
    rows = ((name, *_counted(counts, len(runs))) for name, counts in found.items())
    return Table(("environment", "value"), tuple(rows))


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    ignored = (*SURROUNDINGS, "format", "seed", "overrides")  # what was overridden has its value in the recipe
    return dict(_flat({key: value for key, value in config.items() if key not in ignored}))


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", _text(value)


def _text(value: Any) -> str:
    """Return a value for a reader; of rates that are listed by epoch, how many in a row are the same."""
    if isinstance(value, list):
        groups = [(str(one), len(list(same))) for one, same in itertools.groupby(value)]
        return ", ".join(f"{one} (×{count})" if count > 1 else one for one, count in groups)
    return "none" if value is None else str(value)


def _counted(counts: Mapping[str, int], runs: int) -> tuple[str]:
    if list(counts.values()) == [runs]:
        return (next(iter(counts)),)
    return ("; ".join(f"{value} ({count} of {runs} runs)" for value, count in counts.items()),)
