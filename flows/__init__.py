import backhaul  # noqa: F401 - before Prefect, which would report its use otherwise
