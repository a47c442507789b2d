# Reads $CARD (chatmail.txt on the FAT partition) and rebuilds the system from it. $TEXT is the file that the running system was
# built from, $SOURCE the project's sources, $FLAKE their editable copy, and $SCREEN the message above the login prompt.
# Exit status: 0 if the relay matches the card, 78 if the file must be corrected, anything else if another try may succeed.

host="$FLAKE/hosts/raspberry-pi"

tell() {
    printf 'chatmail: %s\n' "$@"
    { printf '\nchatmail: %s' "$@"; printf '\n\n'; } >"$SCREEN"
    agetty --reload || true
}

if [ ! -e "$CARD" ]; then
    if grep -q '^[^#]' "$TEXT"; then
        tell "chatmail.txt is missing on the card. The relay stays as it is."
        exit 0
    fi
    tell "chatmail.txt is missing on the card." \
        "Put the card into another computer. On the small partition, create a text file with that name and three lines:" \
        "    domain = chat.example.org" "    contact = you@example.net" "    ssh-key = ssh-ed25519 AAAA... you@laptop"
    exit 78
fi

# FAT has no file owners, so the content is not trusted: read a limited part of it, and check it.
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
new="$work/new"
head -c 65536 "$CARD" | tr -d '\000' >"$new"

if cmp -s "$new" "$TEXT"; then
    if grep -q '^[^#]' "$TEXT"; then
        rm -f "$SCREEN"
        exit 0
    fi
    tell "chatmail.txt on the card is still empty. Put the card into another computer and fill in the last three lines."
    exit 78
fi

# Each problem becomes one trace line, because every version of Nix prints those the same way.
read_card="
  text: let card = import $SOURCE/hosts/raspberry-pi/card.nix (builtins.readFile text); in
  builtins.foldl' (r: p: builtins.trace \"problem: \${p}\" r) (card.given && card.problems == [ ]) card.problems"
if ! fits="$(nix-instantiate --eval --strict --expr "($read_card) $new" 2>"$work/told")"; then
    tell "chatmail.txt on the card cannot be read. Is it a plain text file?"
    exit 78
fi
if [ "$fits" != true ]; then
    mapfile -t problems < <(sed -n 's/^trace: problem: /    /p' "$work/told")
    if [ "${#problems[@]}" = 0 ]; then
        problems=("    it is still empty: fill in the last three lines")
    fi
    tell "chatmail.txt on the card has errors. Nothing changes until you correct them:" "${problems[@]}"
    exit 78
fi

# flake.nix is copied last. If the power fails before, the next start copies everything again.
if [ ! -e "$FLAKE/flake.nix" ]; then
    mkdir -p "$FLAKE"
    for part in "$SOURCE"/*; do
        [ "$part" = "$SOURCE/flake.nix" ] || cp -r --no-preserve=mode,ownership "$part" "$FLAKE/"
    done
    sync
    cp --no-preserve=mode,ownership "$SOURCE/flake.nix" "$FLAKE/"
fi
if [ ! -e "$host/chatmail.txt" ]; then
    tell "$FLAKE contains another configuration, so chatmail.txt on the card is ignored."
    exit 0
fi
old="$work/old"
cp "$host/chatmail.txt" "$old"
cp "$new" "$host/chatmail.txt"

tell "chatmail.txt is correct. The system is being rebuilt. This takes a few minutes."
if ! nixos-rebuild switch --flake "path:$FLAKE#raspberry-pi"; then
    cp "$old" "$host/chatmail.txt"
    tell "The system could not be rebuilt and stays as it is. The next attempt is in two minutes." \
        "It needs a network connection. For details: journalctl -u chatmail-setup"
    exit 1
fi
domain="$(sed -n 's/^[[:space:]]*domain[[:space:]]*=[[:space:]]*\([^[:space:]]*\).*/\1/p' "$new")"
tell "This is now the relay $domain. Log in with your ssh key and run: chatmail dns"
