# Stress on a simulated card behind a pcscd of its own: stress.sh MODE [ROUNDS [KIND]]. KARTA_STRESS names the program.
# KARTA_STRESS_MODULE may name a sanitized build of the module, which only the (sanitized) stress program can load.
#   sign | pull | restart | fork | load | wait
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/../interop/pkcs11_lib.sh"
: "${KARTA_STRESS:?names the stress program}"
mode=$1 rounds=${2:-20}
# The longest a call may last beyond what happened to it: two seconds of the module's own, however busy the machine and
# pcscd are; and by the clock what a machine may cost where 16 threads, a build and other tests share two cores.
limit_ms=${KARTA_STRESS_LIMIT_MS:-2000} whole_limit_ms=${KARTA_STRESS_WHOLE_LIMIT_MS:-10000}
step "a card: ${3:-pkcs15-init}"
card_in_hand "${3:-pkcs15-init}"
stress() { # mode [words]
  local mode=$1
  shift
  timeout 800 "$KARTA_STRESS" "$mode" --module "${KARTA_STRESS_MODULE:-$module}" --token "$everyday" --pin "$pin" --key "01=$work/01.pem" \
    --key "02=$work/02.pem" --rounds "$rounds" --limit "$limit_ms" --whole-limit "$whole_limit_ms" "$@"
}
out="'$KARTA_SIM' control '$control' remove >/dev/null" in="'$KARTA_SIM' control '$control' insert >/dev/null"
# With pcscd gone the card is out; its simulator puts it back by itself, and says so to "insert".
again="'$KARTA_PRIVATE_PCSCD' restart && $in"
case $mode in
  sign)
    step "16 threads sign, with the system's locks"
    stress sign
    step "16 threads sign, with the program's own locks"
    stress sign --own-locks
    step "16 threads sign while another program uses the card"
    stress sign --rounds $((rounds * 20)) &
    signing=$!
    while kill -0 $signing 2>/dev/null; do
      sign_and_verify 01 "$pin" "$everyday" ECDSA-SHA256 sha256 --signature-format openssl
      run pkcs15-tool --list-keys
    done
    wait $signing || no "the signing threads were disturbed"
    ;;
  pull)
    step "16 threads sign, the card is pulled and put back $rounds times"
    stress events --event "$out" --event "$in"
    ;;
  restart)
    step "16 threads sign, pcscd is restarted $rounds times"
    stress events --event "$again"
    ;;
  fork)
    step "4 threads sign, $rounds children are forked"
    stress fork --threads 4
    ;;
  load)
    step "loaded and unloaded, and processes that end badly, $rounds times each"
    stress load --threads 8
    ;;
  wait)
    step "a thread waits for slot events, the card is pulled and put back $rounds times"
    stress wait --event "$out" --event "$in"
    ;;
  *) no "no such mode: $mode" ;;
esac
echo "passed: $mode"
