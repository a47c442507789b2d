"""
The mail filter: one milter that decides, cleans, signs and verifies.

`policy` decides, `submitted` cleans what leaves and `headers` what comes in; they know no milter
and no clock. They read messages by `chatmaild.message` and signatures by `chatmaild.signatures`.
`pipeline` is a message's way through all of them. `session` and `server` are the conversation with
Postfix, from octets to messages, and `turns` is the order of what takes time; `milter` is the
program.
"""
