"""The two commands: `keepalive-py` (the daemon) and `keepalive-ctl` (the operator's tool).

| file | what it holds |
|---|---|
| `daemon` | `keepalive-py`: from words to a running daemon or an exit status |
| `options` | its command line, keepalived's, as one table |
| `config_test`, `dry_run`, `genhash` | what it does instead of running |
| `ctl`, `commands/` | `keepalive-ctl`: one file a subcommand, registered by one line |
| `report` | diagnostics for a terminal |

No state; nothing is imported from here. Each command catches what nobody else has caught, so that
an operator reads a sentence and never a traceback (KEEPALIVE_PY_DEBUG=1 shows it).

Standards: keepalived(8), genhash(1).
"""
