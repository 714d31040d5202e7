"""Prefect lives here and nowhere else: flows, tasks, artifacts and the command."""
