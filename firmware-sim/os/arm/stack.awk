# The deepest stack the firmware can need: the longest way through the call graph that GCC writes (-fcallgraph-info=su),
# from reset_handler on. Prints the octets, then the way, one function a line.
# usage: awk -f stack.awk SYMBOLS FILE.ci ...      SYMBOLS: what nm says of the program
# exit status 1: recursion, a frame without bound, or a call to nobody knows whom
#
# A call through a pointer is one of three: Card::execute calls the command handlers, get_data the data objects, and
# everybody the hardware page. A function that only pointers reach and that is none of these is an error here.

# Constructors and destructors have two names; the code stands under the second.
function canonical(title) {
  sub(/C1E/, "C2E", title)
  sub(/D1Ev$/, "D2Ev", title)
  return title
}

function quoted(line, key,    from, rest) {
  from = index(line, key ": \"")
  if (from == 0) return ""
  rest = substr(line, from + length(key) + 3)
  # labels hold no quotation mark
  return substr(rest, 1, index(rest, "\"") - 1)
}

NR == FNR {
  live[$NF] = 1
  next
}

/^node:/ {
  title = canonical(quoted($0, "title"))
  label = quoted($0, "label")
  if (match(label, /[0-9]+ bytes \((static|dynamic,bounded)\)/)) {
    frame[title] = substr(label, RSTART) + 0
    name[title] = substr(label, 1, index(label, "\\n") - 1)
  } else if (label ~ /bytes \(dynamic\)/) {
    print "error: a frame without bound: " title > "/dev/stderr"
    failed = 1
  }
}

/^edge:/ {
  from = canonical(quoted($0, "sourcename"))
  to = canonical(quoted($0, "targetname"))
  if (!((from, to) in seen)) {
    seen[from, to] = 1
    callees[from] = callees[from] "\n" to
    if (to != "__indirect_call") called[to] = 1
  }
}

function is_handler(title) { return name[title] ~ /\((karta::os::)?System&, const (karta::os::)?Command&, (karta::os::)?Writer&\)$/ }
function is_data_object(title) { return name[title] ~ /\((karta::os::)?System&, (karta::os::)?Writer&\)$/ }
function is_hardware(title) { return name[title] ~ /karta::os::ChipHal::/ }

# One of the ways an indirect call may go.
function reaches(from, to) {
  if (is_hardware(to)) return 1
  if (name[from] ~ /Card::execute\(/) return is_handler(to)
  if (name[from] ~ /::get_data\(/) return is_data_object(to)
  return 0
}

function depth(title,    list, n, i, best, d, to) {
  if (title in deepest) return deepest[title]
  if (title in open) {
    print "error: recursion through " title > "/dev/stderr"
    failed = 1
    return 0
  }
  if (!(title in frame)) return deepest[title] = kLibrary
  open[title] = 1
  best = 0
  n = split(callees[title], list, "\n")
  for (i = 2; i <= n; ++i) {
    if (list[i] != "__indirect_call") {
      d = depth(list[i])
      if (d > best) { best = d; next_on_way[title] = list[i] }
      continue
    }
    for (to in frame) {
      if (to == title || !reaches(title, to)) continue
      d = depth(to)
      if (d > best) { best = d; next_on_way[title] = to }
    }
  }
  delete open[title]
  return deepest[title] = frame[title] + best
}

BEGIN { kLibrary = 32 }  # memcpy and memset of the C library

END {
  root = "reset_handler"
  for (title in frame) {
    symbol = title
    sub(/^.*:/, "", symbol)
    if (!(symbol in live) || (title in called) || title == root) continue
    if (is_hardware(title) || is_handler(title) || is_data_object(title)) continue
    # What the language and the vector table name, and nobody calls.
    if (name[title] ~ /operator delete|__cxa_pure_virtual|trap/) continue
    print "error: only a pointer reaches " name[title] > "/dev/stderr"
    failed = 1
  }
  total = depth(root)
  print total
  for (title = root; title != ""; title = next_on_way[title]) {
    printf "%6d  %s\n", (title in frame ? frame[title] : kLibrary), (title in name ? name[title] : title)
  }
  exit failed
}
