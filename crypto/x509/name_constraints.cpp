#include "crypto/x509/name_constraints.h"

#include <algorithm>

#include "base/der.h"

namespace karta::crypto {
namespace {

using Kind = GeneralName::Kind;

bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

bool ends_with_ignoring_case(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && same_ignoring_case(text.substr(text.size() - tail.size()), tail);
}

/// Labels added to the left of the base. ".example" takes what lies below example, and not example itself.
bool host_within(std::string_view host, std::string_view base) {
  if (base.empty()) return true;
  if (base.front() == '.') return host.size() > base.size() && ends_with_ignoring_case(host, base);
  if (same_ignoring_case(host, base)) return true;
  return host.size() > base.size() && host[host.size() - base.size() - 1] == '.' && ends_with_ignoring_case(host, base);
}

/// A mailbox, a host, or ".domain" (RFC 5280 §4.2.1.10).
bool email_within(std::string_view address, std::string_view base) {
  const std::size_t at = address.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == address.size()) return false;
  const std::string_view host = address.substr(at + 1);
  if (const std::size_t base_at = base.rfind('@'); base_at != std::string_view::npos) {
    // The local part is compared as it stands: only its host knows better.
    return address.substr(0, at) == base.substr(0, base_at) && same_ignoring_case(host, base.substr(base_at + 1));
  }
  if (!base.empty() && base.front() == '.') return host.size() > base.size() && ends_with_ignoring_case(host, base);
  return same_ignoring_case(host, base);
}

/// The host of a URI's authority; empty if it has none, or one that is an address.
std::string_view host_of(std::string_view uri) {
  const std::size_t scheme = uri.find(':');
  if (scheme == std::string_view::npos || uri.substr(scheme + 1, 2) != "//") return {};
  std::string_view authority = uri.substr(scheme + 3);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (const std::size_t user = authority.rfind('@'); user != std::string_view::npos) {
    authority.remove_prefix(user + 1);
  }
  if (!authority.empty() && authority.front() == '[') return {};
  const std::string_view host = authority.substr(0, authority.find(':'));
  const bool address = !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
  return address ? std::string_view{} : host;
}

bool uri_within(std::string_view uri, std::string_view base) {
  const std::string_view host = host_of(uri);
  if (host.empty()) return false;
  if (!base.empty() && base.front() == '.') return host.size() > base.size() && ends_with_ignoring_case(host, base);
  return same_ignoring_case(host, base);
}

bool address_within(ByteView address, ByteView base) {
  if (base.size() != 2 * address.size()) return false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (((address[i] ^ base[i]) & base[address.size() + i]) != 0) return false;
  }
  return true;
}

bool directory_within(const Name& name, const Name& base) {
  const Bytes& whole = name.canonical();
  const Bytes& front = base.canonical();
  return whole.size() >= front.size() && std::equal(front.begin(), front.end(), whole.begin());
}

/// "*.example" stands for the names below example, an excluded "host.example" among them.
bool wildcard_meets(const GeneralName& name, const GeneralName& base) {
  const std::string_view text = as_text(name.value);
  return name.kind == Kind::dns && text.starts_with("*.") && host_within(as_text(base.value), text.substr(2));
}

bool understood(Kind kind) {
  return kind == Kind::email || kind == Kind::dns || kind == Kind::directory_name || kind == Kind::uri ||
         kind == Kind::ip_address;
}

Result<std::vector<GeneralName>> parse_subtrees(ByteView content) {
  std::vector<GeneralName> out;
  der::Reader reader(content);
  while (!reader.done()) {
    if (out.size() == kMostSubtrees) return fail(ErrorKind::limit, "too many subtrees");
    der::Reader subtree = TRY(reader.enter(der::kSequence));
    const Tlv base = TRY(subtree.any());
    if (const auto minimum = TRY(subtree.next_if(der::context_primitive(0)))) {
      // The default, 0, written out: not DER, and nothing else is meant.
      if (minimum->value.size() != 1 || minimum->value[0] != 0) {
        return fail(ErrorKind::malformed, "a subtree with a minimum other than 0");
      }
    }
    TRY(subtree.finish());  // no maximum
    std::vector<GeneralName> names = TRY(parse_general_names(base.whole));
    const GeneralName& name = names.front();
    if (name.kind == Kind::ip_address && name.value.size() != 8 && name.value.size() != 32) {
      return fail(ErrorKind::malformed, "a subtree of addresses without its mask");
    }
    if (name.kind == Kind::directory_name) (void)TRY(Name::from_der(name.value));
    out.push_back(name);
  }
  if (out.empty()) return fail(ErrorKind::malformed, "an empty list of subtrees");
  return out;
}

}  // namespace

// NameConstraints ::= SEQUENCE { permittedSubtrees [0] GeneralSubtrees OPTIONAL,
//                                excludedSubtrees [1] GeneralSubtrees OPTIONAL }
// GeneralSubtree ::= SEQUENCE { base GeneralName, minimum [0] INTEGER DEFAULT 0, maximum [1] INTEGER OPTIONAL }
Result<NameConstraints> parse_name_constraints(ByteView value) {
  der::Reader outer(value);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  NameConstraints out;
  if (const auto permitted = TRY(reader.next_if(der::context(0)))) {
    out.permitted = TRY(parse_subtrees(permitted->value));
  }
  if (const auto excluded = TRY(reader.next_if(der::context(1)))) {
    out.excluded = TRY(parse_subtrees(excluded->value));
  }
  TRY(reader.finish());
  if (out.permitted.empty() && out.excluded.empty()) return fail(ErrorKind::malformed, "no subtree at all");
  return out;
}

Bytes encode(const NameConstraints& constraints) {
  const auto subtrees = [](unsigned tag, const std::vector<GeneralName>& bases) {
    Bytes content;
    for (const GeneralName& base : bases) append(content, der::sequence({encode(base)}));
    return bases.empty() ? Bytes{} : make_tlv(der::context(tag), content);
  };
  return der::sequence({subtrees(0, constraints.permitted), subtrees(1, constraints.excluded)});
}

bool within(const GeneralName& name, const GeneralName& base) {
  if (name.kind != base.kind) return false;
  switch (name.kind) {
    case Kind::email:
      return email_within(as_text(name.value), as_text(base.value));
    case Kind::dns:
      return host_within(as_text(name.value), as_text(base.value));
    case Kind::uri:
      return uri_within(as_text(name.value), as_text(base.value));
    case Kind::ip_address:
      return address_within(name.value, base.value);
    case Kind::directory_name: {
      const auto whole = Name::from_der(name.value), front = Name::from_der(base.value);
      return whole && front && directory_within(*whole, *front);
    }
    default:
      return false;
  }
}

Status NameConstraintState::check(const Name& subject, const std::vector<GeneralName>& alternative_names) const {
  if (list_.empty()) return {};
  std::vector<GeneralName> names = alternative_names;
  if (!subject.empty()) names.push_back(GeneralName::directory_name(subject.der()));
  const bool has_email =
      std::any_of(names.begin(), names.end(), [](const GeneralName& name) { return name.kind == Kind::email; });
  if (!has_email) {
    for (const Name::Rdn& rdn : subject.rdns()) {
      for (const NameAttribute& attribute : rdn) {
        if (attribute.oid == "1.2.840.113549.1.9.1") names.push_back(GeneralName::email(attribute.value));
      }
    }
  }
  std::size_t comparisons = 0;
  for (const GeneralName& name : names) {
    // A URI without a host name, or a mailbox without a host, cannot be held against a constraint: any refuses it
    // (RFC 5280 §4.2.1.10).
    const bool shapeless = (name.kind == Kind::uri && host_of(as_text(name.value)).empty()) ||
                           (name.kind == Kind::email && as_text(name.value).find('@') == std::string_view::npos);
    for (const NameConstraints* constraints : list_) {
      comparisons += constraints->permitted.size() + constraints->excluded.size();
      if (comparisons > kMostComparisons) return fail(ErrorKind::limit, "too many names and constraints");
      for (const GeneralName& base : constraints->excluded) {
        if (base.kind != name.kind) continue;
        if (!understood(base.kind)) {
          return fail(ErrorKind::unsupported,
                      "names like " + to_text(name) + " are constrained in a way not understood");
        }
        if (shapeless || within(name, base) || wildcard_meets(name, base)) {
          return fail(ErrorKind::untrusted, to_text(name) + " is excluded by " + to_text(base));
        }
      }
      bool constrained = false, permitted = false;
      for (const GeneralName& base : constraints->permitted) {
        if (base.kind != name.kind) continue;
        if (!understood(base.kind)) {
          return fail(ErrorKind::unsupported,
                      "names like " + to_text(name) + " are constrained in a way not understood");
        }
        constrained = true;
        permitted = permitted || within(name, base);
        if (permitted) break;
      }
      if (constrained && !permitted) {
        return fail(ErrorKind::untrusted, to_text(name) + " is not among the names permitted");
      }
    }
  }
  return {};
}

}  // namespace karta::crypto
