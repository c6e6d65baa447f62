"""The kernel modules that give a real server the client's address behind FULLNAT.

Pure: `flavours` (what is known of toa, ttm, uoa), `modinfo` (what a .ko says of itself), `refusals`
(why one could not be loaded, and what to do), `statistics` (their counters), `verdict` (what a
handshake proved). With the kernel: `kernel` (/sys/module and what else is to be read), `loading`
(finit_module(2), modprobe(8), dkms(8)), `memory` (which ones we loaded), `persistence` (files for the
next boot), `verify` (the proof, in a network namespace of its own). `state` puts it together into what
is shown.

Everything here is called from a thread or a command, and blocks; the daemon's part is
`daemon/modules.py`. The option's layouts are in `wire/toa.py`, the segments in `wire/tcp.py`.

Standards: RFC 9293 (TCP), RFC 4727 (option numbers for experiments); init_module(2), modprobe.d(5),
modules-load.d(5), module signing and lockdown as the kernel's documentation has them.
"""
