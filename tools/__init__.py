"""Tools of the project: set-up, code generation, lints."""
