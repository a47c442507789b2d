"""
The mail filter: one milter that decides, cleans, signs and verifies.

Deciding (`policy`, `structure`, `openpgp`, `addresses`, `ratelimit`, `headers`) knows no milter and
no clock; `signing` and `verifying` know DKIM; `pipeline` is a message's way through all of them.
`packets`, `session` and `server` are the conversation with Postfix, from octets to messages;
`milter` is the program.
"""
