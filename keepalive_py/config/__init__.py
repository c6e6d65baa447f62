"""The configuration: text in, model and diagnostics out. Pure.

`build.load` is the way in: it reads the main file and the side file and answers a `Loaded`.
Nothing here raises for a mistake in a file, touches a file system (a `Source` is passed in), or
knows a checker (a registry is passed in).

Text to lines, the language layer:
    source       files as a port; a set of texts in memory
    lexer, definitions, sequences, includes, preprocess
                 comments, quotes, braces; $NAME, ~SEQ, @condition, include
    lines        what comes out: logical lines of words with their places
    quoting      the shell-like reader of commands and patterns
    diagnostics, spelling, render
                 what is wrong, what was meant, and how it is shown

Lines to model, the block layer:
    schema       how blocks and keywords are declared; the docstring is the guide
    kinds, global_kinds
                 kinds of values
    language     all of them, ready for look-up
    parser, remarks
                 lines to drafts of blocks, by the declarations; what there is to say
    build        drafts to a `Config`; the side file; what concerns the whole
    model        `Config`, and every block's class by name
    virtual_server, real_server, virtual_server_group, check, ...
                 a file for each block: its declaration, and its rules
    extensions   top-level blocks that other rooms add
    writer, diff, reference
                 model to text, two models to changes, declarations to documentation

Facts: keepalived.conf(5), keepalived(8), linux/ip_vs.h, and what keepalived 2.2.7 and 2.4 do.
"""
