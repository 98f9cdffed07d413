# How many commands our PKCS #11 module may send: cold to the first signature, with its cache, and for one more signature.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_measure.sh"
peer=$(echo /usr/lib/*/opensc-pkcs11.so)
most() { # what value limit
  printf '   %s: %s of %s\n' "$1" "$2" "$3"
  awk -v a="$2" -v b="$3" 'BEGIN { exit !(a <= b) }' || { grep '"command"' "$record"; no "$1: $2 commands, at most $3 are allowed"; }
}
commands() { measure "$@" | cut -d' ' -f1; }
case $1 in
  four-keys)
    step "a card of four keys made by pkcs15-init"
    run "$KARTA_SIM" new "$work/card.image"
    start_cards run "$work/card.image"
    four_key_card
    token=$(token_label 'auth PIN') pin=$pin1
    limit=17
    ;;
  citizen)
    step "a card issued by karta"
    card_in_hand citizen
    token=$everyday
    limit=$(($(commands "$peer" "$token" "$pin" 01 0) / 3))
    ;;
esac
step "budgets"
most "cold to first signature" "$(commands "$module" "$token" "$pin" 01 0)" $limit
most "with its cache" "$(commands "$module" 0 "$pin" 01 0 --keep-cache)" 6
# One by itself: the counter read, MSE, PSO. Where they follow closely the transaction is kept, and PSO is all: of fifty, a
# machine that stops for a moment may make some begin anew.
most "one more signature, of fifty" "$(per_signature "$module" "$token" "$pin" 01)" 2
measure "$module" "$token" "$pin" 01 50 >/dev/null
most "PC/SC calls for fifty more" "$(pcsc_calls)" 150
[ "$(pcsc_calls)" -ge 50 ] || no "PC/SC calls are not counted"
echo "passed: $1"
