#!/bin/bash
# Cross-compiles the card operating system for a Cortex-M33, checks that nothing in it allocates or throws, and prints
# RAM, code, non-volatile memory and the deepest stack against their budgets. Exit status 1 when one is exceeded.
# usage: size.sh [BUILD-FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../../../build/firmware}

command -v arm-none-eabi-g++ >/dev/null || {
  echo "error: arm-none-eabi-g++ is not installed" >&2
  echo "hint: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib" >&2
  exit 69
}
generator=(); command -v ninja >/dev/null && generator=(-G Ninja)
cmake -S "$here" -B "$build" "${generator[@]}" -DCMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" -DCMAKE_BUILD_TYPE=None >/dev/null
cmake --build "$build" >"$build/build.log" 2>&1 || { cat "$build/build.log" >&2; exit 1; }
elf=$build/karta_card.elf

forbidden=$(arm-none-eabi-nm "$elf" | awk '{ print $NF }' |
  grep -E '^_*(malloc|calloc|realloc|free|sbrk|abort|exit|.*printf)(_r)?$|^_Zn[wa]|^_Unwind|^__cxa_(throw|allocate)|_impure' || true)
if [ -n "$forbidden" ]; then
  echo "error: the firmware refers to what firmware must not have:" >&2
  echo "$forbidden" >&2
  exit 1
fi

section() { arm-none-eabi-size -A "$elf" | awk -v name="$1" '$1 == name { print $2 }'; }
code=$(($(section .text) + $(section .data)))
ram=$(($(section .data) + $(section .bss)))
stack=$(section .stack)
arm-none-eabi-nm "$elf" >"$build/symbols"
mapfile -t graphs < <(find "$build/CMakeFiles/karta_card.dir" -name '*.ci' | sort)
awk -f "$here/stack.awk" "$build/symbols" "${graphs[@]}" >"$build/stack.txt" || exit 1
read -r deepest <"$build/stack.txt"
nvm=$((384 * 256))

status=0
row() { # name, used, budget
  local verdict=ok
  [ "$2" -le "$3" ] || { verdict="beyond the budget"; status=1; }
  printf '%-26s %8d of %8d bytes  %5.1f %%  %s\n' "$1" "$2" "$3" "$(awk "BEGIN { print 100 * $2 / $3 }")" "$verdict"
}
row "code and constants" "$code" $((192 * 1024))
row "RAM: static and stack" $((ram + stack)) $((16 * 1024))
row "non-volatile memory" "$nvm" $((96 * 1024))
row "stack: deepest call" "$deepest" "$stack"
printf '%-26s %8d bytes static, %d bytes stack; the deepest call is in %s\n' "  RAM of this" "$ram" "$stack" "$build/stack.txt"
exit "$status"
