"""Network namespaces: the lab's own."""

from keepalive_py.lab.namespace import LIMIT, Namespace, link

__all__ = ["LIMIT", "Namespace", "link"]
