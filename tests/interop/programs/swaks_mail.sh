# Send what is on standard input with swaks, encrypted unless $PLAIN: to $SERVER as an account's owner, or to Exim.
armor() { gpg --batch --quiet --trust-model always --armor -r "$TO" --encrypt; }
if [ -n "$PLAIN" ]; then
    kind='text/plain; charset=utf-8'
    body=$(cat)
else
    kind='multipart/encrypted; protocol="application/pgp-encrypted"; boundary="swaks"'
    body="This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)
--swaks
Content-Type: application/pgp-encrypted

Version: 1

--swaks
Content-Type: application/octet-stream; name=\"encrypted.asc\"

$(printf 'Content-Type: text/plain; charset=utf-8\n\n%s' "$(cat)" | armor)
--swaks--"
fi
if [ -n "$SERVER" ]; then
    set -- --server "$SERVER" --port 587 --tls --tls-verify --auth PLAIN --auth-user "$FROM" --auth-password "$PASSWORD"
else
    set -- --server 127.0.0.1
fi
cat > swaks-data << EOF
Date: %DATE%
From: %FROM_ADDRESS%
To: %TO_ADDRESS%
Subject: Hello
Message-Id: <%MESSAGEID%>
MIME-Version: 1.0
Content-Type: $kind

$body
EOF
exec swaks "$@" --from "$FROM" --to "$TO" --data @swaks-data
