"""keepalive_py: the control plane of an LVS load-balancer node."""

__version__ = "0.1.0"
