"""Bytes and values: one file for each protocol, and nothing that does I/O. Pure.

Every file has the same two directions: `encode_*` makes bytes of a value, `decode_*` or
`parse_*` makes a value of bytes. Bytes come from strangers: whatever they are, the answer is a
value, None for "not meant for us", or `WireError`, never another exception. Laws in the tests
say so, and that what is encoded reads back as it was.

To real servers and neighbours, for checkers and the BFD speaker:
    http     requests, and responses in any pieces          RFC 9112
    smtp     replies of any number of lines                 RFC 5321
    dns      one question, and the header of its answer     RFC 1035
    icmp     echo, over raw and unprivileged sockets        RFC 792, RFC 4443
    bfd      control packets                                RFC 5880
    filler   what a probe says that has nothing to say

To the kernel, for dataplanes:
    netlink, ipvs, nftables, conntrack                      linux/netlink.h and its families
    toa      a client's address in a TCP option

Who calls: the rooms that own the sockets (probing, bfd, dataplane, notify) and the checkers.
Nobody keeps state here, except readers that collect the pieces of one answer.
"""
