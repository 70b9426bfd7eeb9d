"""Charts, comparison reports and model cards."""
