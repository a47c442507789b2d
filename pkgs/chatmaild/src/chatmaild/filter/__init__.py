"""
The mail filter: one milter that decides, cleans, signs and verifies.

`policy` and `headers` decide and know no milter and no clock. They read messages by
`chatmaild.message` and signatures by `chatmaild.signatures`. `pipeline` is a message's way through
all of them. `session` and `server` are the conversation with Postfix, from octets to messages;
`milter` is the program.
"""
