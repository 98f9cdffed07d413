# What the end-to-end scripts share, on top of the interop scripts' lib.sh.
# shellcheck shell=bash disable=SC1091
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$tests/interop/lib.sh"
source "$tests/interop/issued_lib.sh"

# ends CODE COMMAND...: the command must end with exactly this code.
ends() {
  local wanted=$1 code=0
  shift
  "$@" >"$work/out" 2>&1 || code=$?
  if [ "$code" -ne "$wanted" ]; then
    cat "$work/out"
    no "this was to end with $wanted, and ended with $code: $*"
  fi
}

# put_back [CARD]: the card into its reader, until pcscd tells programs of it.
put_back() {
  tell insert "${1:-1}"
  await_card "Reader ${1:-1}"
}
