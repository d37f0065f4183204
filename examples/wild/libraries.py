"""Which public implementations are checked: on the package index, under a licence that permits it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """One implementation.

    Args:
        name: on the package index.
        version: that the adapter was written for.
        licence: from its metadata, or its licence file where the metadata have none.
        adapter: the module here.
        needs: what its networks need; () for all that it asks for, notebooks and data sets included.
        python: the lowest version that it runs on.
    """

    name: str
    version: str
    licence: str
    adapter: str
    needs: tuple[str, ...] = ()
    python: tuple[int, int] = (3, 11)


PERMISSIVE = ("Apache-2.0", "BSD-3-Clause", "MIT")
LIBRARIES = (
    Library("pcx", "0.6.3", "Apache-2.0", "pcx_adapter"),
    Library("ngclearn", "3.2.3", "BSD-3-Clause", "ngclearn_adapter", python=(3, 12)),
    Library("fabricpc", "0.6.0", "MIT", "fabricpc_adapter"),
    Library("pclib", "2.0.0b2", "MIT", "pclib_adapter", ("torch",)),
    Library("pcn-torch", "1.1.0", "MIT", "pcn_torch_adapter", ("torch", "rich")),
    Library("torch-pc", "0.1.0", "MIT", "torch_pc_adapter", ("torch", "tqdm")),
    Library("pyromancy-ai", "0.0.1", "BSD-3-Clause", "pyromancy_adapter", ("torch", "einops")),
    Library("neurosush", "0.5.0", "MIT", "neurosush_adapter", ("torch",)),
    Library("pydeepity", "0.1.0a3", "MIT", "pydeepity_adapter"),
    Library("biotorch", "0.0.16", "Apache-2.0", "biotorch_adapter", ("torch",)),
)
