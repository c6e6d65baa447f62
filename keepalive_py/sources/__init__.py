"""Where configuration comes from.

`files` is the file system as a `config.source.Source`: it reads, globs and tells why a
path cannot be read. It owns no state. The daemon and the command line call it and hand
it to `config.preprocess`, which is pure.

Standards: glob(7); keepalived.conf(5), which files an include skips.
"""
