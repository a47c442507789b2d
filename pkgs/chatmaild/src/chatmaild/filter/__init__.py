"""
The mail filter: one milter that decides, cleans, signs and verifies.

Deciding (`policy`, `structure`, `openpgp`, `addresses`, `ratelimit`, `headers`) knows no milter and
no clock; `signing` and `verifying` know DKIM; `milter` only translates between Postfix and these.
"""
