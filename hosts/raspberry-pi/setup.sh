# Reads $CARD (chatmail.txt on the FAT partition) and makes the system that it describes. $TEXT is the text the running system
# was made of, $SOURCE the project it was made from, $FLAKE where its editable copy lives, $SCREEN is shown above the login prompt.
# Exit status: 0 the relay is what the card says; 78 the text must be changed by its author; else it is worth another try.

host="$FLAKE/hosts/raspberry-pi"

tell() {
    printf 'chatmail: %s\n' "$@"
    { printf '\nchatmail: %s' "$@"; printf '\n\n'; } >"$SCREEN"
    agetty --reload || true
}

if [ ! -e "$CARD" ]; then
    if grep -q '^[^#]' "$TEXT"; then
        tell "there is no chatmail.txt on the card any more; the relay stays as it is"
        exit 0
    fi
    tell "there is no chatmail.txt on the card." \
        "Put the card into another computer; on the small partition make a text file of that name with three lines:" \
        "    domain = chat.example.org" "    contact = you@example.net" "    ssh-key = ssh-ed25519 AAAA... you@laptop"
    exit 78
fi

# FAT knows no owner: what stands in the file is checked as if a stranger had written it, and no more of it than this is read.
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
new="$work/new"
head -c 65536 "$CARD" | tr -d '\000' >"$new"

if cmp -s "$new" "$TEXT"; then
    if grep -q '^[^#]' "$TEXT"; then
        rm -f "$SCREEN"
        exit 0
    fi
    tell "chatmail.txt on the card is still empty: put the card into another computer and fill in its last three lines"
    exit 78
fi

# Each problem is one trace line, which every Nix prints the same way.
read_card="
  text: let card = import $SOURCE/hosts/raspberry-pi/card.nix (builtins.readFile text); in
  builtins.foldl' (r: p: builtins.trace \"problem: \${p}\" r) (card.given && card.problems == [ ]) card.problems"
if ! fits="$(nix-instantiate --eval --strict --expr "($read_card) $new" 2>"$work/told")"; then
    tell "chatmail.txt on the card cannot be read: is it a plain text file?"
    exit 78
fi
if [ "$fits" != true ]; then
    mapfile -t problems < <(sed -n 's/^trace: problem: /    /p' "$work/told")
    if [ "${#problems[@]}" = 0 ]; then
        problems=("    there is nothing in it yet: fill in its last three lines")
    fi
    tell "chatmail.txt on the card must be changed; until then everything stays as it is:" "${problems[@]}"
    exit 78
fi

# flake.nix comes last: after a power cut in between, the copy is made once more.
if [ ! -e "$FLAKE/flake.nix" ]; then
    mkdir -p "$FLAKE"
    for part in "$SOURCE"/*; do
        [ "$part" = "$SOURCE/flake.nix" ] || cp -r --no-preserve=mode,ownership "$part" "$FLAKE/"
    done
    sync
    cp --no-preserve=mode,ownership "$SOURCE/flake.nix" "$FLAKE/"
fi
if [ ! -e "$host/chatmail.txt" ]; then
    tell "$FLAKE has a host of its own, so chatmail.txt on the card is not read"
    exit 0
fi
old="$work/old"
cp "$host/chatmail.txt" "$old"
cp "$new" "$host/chatmail.txt"

tell "chatmail.txt is in order. The system is being rebuilt as that relay; a Pi takes some minutes for it."
if ! nixos-rebuild switch --flake "path:$FLAKE#raspberry-pi"; then
    cp "$old" "$host/chatmail.txt"
    tell "the system could not be rebuilt and stays as it is; there is another try in two minutes." \
        "It needs the network. To see more: journalctl -u chatmail-setup"
    exit 1
fi
domain="$(sed -n 's/^[[:space:]]*domain[[:space:]]*=[[:space:]]*\([^[:space:]]*\).*/\1/p' "$new")"
tell "this is the relay $domain now. Log in with your ssh key and run: chatmail dns"
