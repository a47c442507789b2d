# Send what is on standard input with neomutt, encrypted unless $PLAIN: to $SERVER as an account's owner, or by sendmail.
mkdir -p mutt/cur mutt/new mutt/tmp
cat > muttrc << EOF
set crypt_auto_encrypt = yes
set crypt_use_gpgme = yes
set from = $FROM
set use_from = yes
set envelope_from = yes
set editor = true
set fast_reply = yes
set auto_edit = yes
set abort_unmodified = no
set abort_nosubject = no
set copy = no
set wait_key = no
set folder = /root/mutt
set mbox_type = Maildir
set spool_file = /root/mutt
set ssl_ca_certificates_file = /etc/ssl/certs/ca-certificates.crt
EOF
if [ -n "$SERVER" ]; then
    echo "set smtp_url = \"smtps://${FROM%@*}%40${FROM#*@}@$SERVER:465\"" >> muttrc
    echo "set smtp_pass = \"$PASSWORD\"" >> muttrc
fi
export TERM=vt100
if [ -n "$PLAIN" ]; then
    exec neomutt -n -F muttrc -s Hello -- "$TO"
fi
exec python3 "$(dirname "$0")/neomutt_at_terminal.py" muttrc "$TO"
