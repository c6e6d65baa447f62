"""Files whose first line is a number: `track_file` and FILE_CHECK.

- `inotify`: the kernel's file events, through ctypes: one descriptor for any number of files, no
  thread (inotify(7)).
- `places`: which names in which directories decide what a path means, symbolic links and missing
  directories included.
- `watch`: all files of a configuration on an asyncio loop.

The daemon owns the `Watch`, hands it the track_files of each new configuration, and is told the
number in each file at first and whenever it changes; `checkers.file.file_verdict` makes verdicts
of it. The watch owns the descriptor and what was read last.

A file is read when it was closed after writing, created, renamed or deleted, as keepalived does;
a number written without closing the file is seen at the close. Where the kernel reports no
changes (pseudo file systems, inotify's limits reached) the file is read once a second, and the
operator is told; keepalived refuses such files.
"""

from __future__ import annotations

from keepalive_py.track_file.watch import Watch

__all__ = ["Watch"]
