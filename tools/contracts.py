"""An import-linter contract: in every child of a package, one submodule that only that child may import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph


class OwnedContract(Contract):
    package = fields.StringField()
    submodule = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001 - the base's signature
        intrusions = [
            (importer, owned)
            for owner in sorted(graph.find_children(str(self.package)))
            if (owned := f"{owner}.{self.submodule}") in graph.modules
            for importer in sorted(graph.find_modules_that_directly_import(owned))
            if importer != owner and not importer.startswith(f"{owner}.")
        ]
        return ContractCheck(kept=not intrusions, metadata={"intrusions": intrusions})

    def render_broken_contract(self, check: Any) -> None:
        for importer, owned in check.metadata["intrusions"]:
            output.print_error(f"{importer} may not import {owned}")
