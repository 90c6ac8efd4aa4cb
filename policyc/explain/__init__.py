"""A decision taken apart: every sub-expression, every block, every kernel, the nearest change."""
