"""
The mail filter: one milter that decides, cleans, signs and verifies.

`policy` decides, `submitted` cleans the header of outgoing mail, and `headers` that of incoming
mail. They know neither milter nor clock. `chatmaild.message` parses messages for them, and
`chatmaild.signatures` signs and verifies. `pipeline` takes a message through all of them. `session`
and `server` are the conversation with Postfix, `turns` limits parallel work, and `milter` is the
program.
"""
