"""Telling the operator's own tools: scripts, FIFOs, mails.

| file | what it holds |
|---|---|
| `notifier` | events -> who hears of them; the only thing that others call |
| `scripts` | the queue of notify scripts; who starts processes is passed in |
| `security` | which scripts may run, and as whom |
| `fifo` | one open FIFO |
| `mail` | the SMTP dialogue and its queue |

What is said is `health.wording`'s. The daemon owns one `Notifier`, configures it at a start and at
each reload, and hands it events after the table is as they say. Nothing here makes anybody wait:
scripts run a bounded number at a time, a FIFO without a reader loses lines, a dead mail server is
tried from a bounded queue, and each loss is counted and said once.

Standards: keepalived.conf(5), SCRIPTS and notification; fifo(7); RFC 5321, RFC 5322.
"""
