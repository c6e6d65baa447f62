"""Hypothesis without deadlines: a busy machine is not a bug. Our own fixtures, also where the package
is not installed."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

pytest_plugins = ["keepalive_py.pytest_plugin"]
