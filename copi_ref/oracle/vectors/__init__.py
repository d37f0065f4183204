"""Test vectors for implementations in other languages: JSON files with inputs, intermediates and exact results.

Inputs are floats of at most 24 bits, results are computed in Fractions and rounded once, so that every number is the
float64 nearest to the exact one. Numbers are C hex floats ("0x1.8p+1"), which `strtod`, `float.fromhex` and others read
without rounding. Each quantity comes with its magnitude M and the number c of roundings on its longest way: an error
up to γ(2 c u) M is rounding, see docs/check/tolerances.md. Each case lists the catalogued mistakes that it catches.
"""

import difflib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copi_ref.files import write_atomically
from copi_ref.oracle.contract.asked import of_kind
from copi_ref.oracle.inference.vectors import inference_vectors
from copi_ref.oracle.vectors.generate import FORMAT, all_vectors
from copi_ref.oracle.vectors.text import as_json

SHIPPED = Path(__file__).parent / "v1"
SHIPPED_INFERENCE = Path(__file__).parent / "inference_v1"
MANIFEST, SCHEMA = "manifest.json", "schema.json"

Contents = Callable[[], dict[str, dict[str, Any]]]
"""Computes the content of each file, by its name."""


def all_inference_vectors() -> dict[str, dict[str, Any]]:
    """Return the content of each file of Inference Learning, by its name."""
    return inference_vectors(FORMAT)


class VectorsError(ValueError):
    """A folder of vectors is incomplete or was changed."""


@dataclass(frozen=True)
class VectorSet:
    """Vectors that belong together: where they are shipped, and what computes them."""

    folder: Path
    contents: Contents


SETS = {
    "v1": VectorSet(SHIPPED, all_vectors),
    "inference_v1": VectorSet(SHIPPED_INFERENCE, all_inference_vectors),
}
"""By the names of their folders: COPI, and Inference Learning."""


def load(folder: Path = SHIPPED) -> dict[str, list[dict[str, Any]]]:
    """Read vectors, after holding them against their manifest.

    Returns:
        The cases of each file, by its name without ``.json``; numbers as they stand there.

    Raises:
        TypeError: the folder is no path.
        VectorsError: the manifest or a file is missing, no JSON, holds another number of cases than the manifest
            says, or has another digest; or the schema has, if the manifest says one.
    """
    of_kind("folder", folder, Path, "a pathlib.Path")
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise VectorsError(f"{folder / MANIFEST} has format {manifest['format']!r}: needs {FORMAT}")
        if "schema" in manifest:  # manifests of before say nothing of it
            _check_digest(SCHEMA, (folder / SCHEMA).read_bytes(), manifest["schema"])
        return {Path(name).stem: _read(folder / name, facts) for name, facts in manifest["files"].items()}
    except OSError as error:
        raise VectorsError(f"{folder} can't be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise VectorsError(f"{folder} can't be read: {error!r}") from error
    except RecursionError as error:
        raise VectorsError(f"{folder}: a file nests lists or objects too deeply to be one of these") from error
    except ValueError as error:
        raise VectorsError(f"{folder}: {error}") from error


def _read(path: Path, facts: dict[str, Any]) -> list[dict[str, Any]]:
    content = path.read_bytes()
    cases: list[dict[str, Any]] = json.loads(content)["cases"]
    if len(cases) != facts["cases"]:
        raise VectorsError(f"{path.name} has {len(cases)} cases, but the manifest says {facts['cases']}")
    _check_digest(path.name, content, facts)
    return cases


def _check_digest(name: str, content: bytes, facts: dict[str, Any]) -> None:
    if _digest(content) != facts["sha256"]:
        raise VectorsError(f"{name} is not what the manifest says: its digest differs")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def texts(of: VectorSet = SETS["v1"]) -> dict[str, str]:
    """Compute all vectors, and return the text of each file, the schema's and the manifest's last.

    Raises:
        OSError: the shipped schema can't be read.
    """
    files = {f"{name}.json": as_json(vectors) for name, vectors in of.contents().items()}
    schema = (of.folder / SCHEMA).read_bytes()
    manifest = {
        "format": FORMAT,
        # beside the files, which have cases, so that a reader of the manifest as it was reads this one
        "schema": {"sha256": _digest(schema)},
        "files": {
            name: {"cases": len(json.loads(text)["cases"]), "sha256": _digest(text.encode())}
            for name, text in files.items()
        },
    }
    return {**files, SCHEMA: schema.decode(), MANIFEST: json.dumps(manifest, indent=1) + "\n"}


def emit(folder: Path, of: VectorSet = SETS["v1"]) -> int:
    """Write all files and the schema to a folder, each whole; return the number of cases.

    Raises:
        TypeError: an argument is of another kind.
        OSError: it can't be written to.
    """
    _check_kinds(folder, of)
    for name, text in texts(of).items():
        write_atomically(folder / name, text.encode())
    return sum(len(cases) for cases in load(folder).values())


@dataclass(frozen=True)
class Differences:
    """What differs between a folder and the vectors as they are computed now."""

    ok: bool
    lines: list[str]


def differences(folder: Path = SHIPPED, most: int = 40, of: VectorSet = SETS["v1"]) -> Differences:
    """Compare a folder with the vectors as they are computed now; at most `most` lines of difference a file.

    Raises:
        TypeError: an argument is of another kind.
    """
    _check_kinds(folder, of)
    try:
        counts = {name: len(cases) for name, cases in load(folder).items()}
    except VectorsError as error:
        counts, lines = {}, [f"FAILED: {error}"]
    else:
        lines = []
    for name, text in _texts_of_now(of, lines).items():
        try:
            there = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            lines.append(f"FAILED: {name} can't be read: {error}")
            continue
        diff = list(difflib.unified_diff(there.splitlines(), text.splitlines(), name, f"{name} computed now", n=1))
        if diff:
            lines += [f"FAILED: {name} differs", *(line[:160] for line in diff[:most])]
            lines += [f"… {len(diff) - most} lines more"] if len(diff) > most else []
    ok = not lines
    lines += [f"{name}.json: {count} cases" + (", as computed now" if ok else "") for name, count in counts.items()]
    return Differences(ok, [*lines, f"{sum(counts.values())} cases in {folder}" + (": all verified" if ok else "")])


def _texts_of_now(of: VectorSet, lines: list[str]) -> dict[str, str]:
    """Return the texts as they are computed now; add to the lines why there are none."""
    try:
        return texts(of)
    except (OSError, UnicodeDecodeError) as error:
        lines.append(f"FAILED: the shipped {SCHEMA} can't be read: {error}")
        return {}


def _check_kinds(folder: Path, of: VectorSet) -> None:
    of_kind("folder", folder, Path, "a pathlib.Path")
    of_kind("of", of, VectorSet, "one of copi_ref.oracle.vectors.SETS")
