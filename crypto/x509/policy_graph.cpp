#include "crypto/x509/policy_graph.h"

#include <algorithm>
#include <map>
#include <set>

namespace karta::crypto {
namespace {

struct Node {
  std::string policy;                 // valid_policy
  std::vector<std::string> expected;  // expected_policy_set
  std::vector<std::size_t> parents;   // in the level above
  bool deleted = false;
};
using Level = std::vector<Node>;

std::string quoted(const Certificate& certificate) { return "\"" + certificate.subject().to_text() + "\""; }

bool contains(const std::vector<std::string>& list, std::string_view one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

class Graph {
 public:
  Graph() { levels_.push_back({Node{std::string(kAnyPolicyOid), {std::string(kAnyPolicyOid)}, {}, false}}); }

  bool null() const { return null_; }
  void make_null() { null_ = true; }

  // RFC 9618 §5.2 (d): the certificate's policies become a level.
  void add_certificate(const std::vector<std::string>& policies, bool any_policy_allowed) {
    const Level& above = levels_.back();
    // Which nodes above expect a policy: one pass, so that a level costs what its certificates hold.
    std::map<std::string_view, std::vector<std::size_t>> expecting;
    std::optional<std::size_t> any;
    for (std::size_t i = 0; i < above.size(); ++i) {
      if (above[i].deleted) continue;
      if (above[i].policy == kAnyPolicyOid) any = i;
      for (const std::string& policy : above[i].expected) expecting[policy].push_back(i);
    }
    Level level;
    std::set<std::string_view> made;
    bool has_any_policy = false;
    for (const std::string& policy : policies) {
      if (policy == kAnyPolicyOid) {
        has_any_policy = true;
        continue;
      }
      std::vector<std::size_t> parents;
      if (const auto found = expecting.find(policy); found != expecting.end()) {
        parents = found->second;  // (1)(i)
      } else if (any) {
        parents = {*any};  // (1)(ii)
      } else {
        continue;
      }
      made.insert(policy);
      level.push_back(Node{policy, {policy}, std::move(parents), false});
    }
    if (has_any_policy && any_policy_allowed) {  // (2)
      for (auto& [policy, parents] : expecting) {
        if (made.contains(policy)) continue;
        level.push_back(Node{std::string(policy), {std::string(policy)}, std::move(parents), false});
      }
    }
    null_ = level.empty();
    levels_.push_back(std::move(level));
  }

  // RFC 9618 §5.3 (b): what the next certificate may call the policies of this one.
  void map(const std::vector<PolicyMapping>& mappings, bool mapping_allowed) {
    Level& level = levels_.back();
    std::map<std::string_view, std::set<std::string_view>> by_issuer_domain;
    for (const PolicyMapping& mapping : mappings) {
      by_issuer_domain[mapping.issuer_domain].insert(mapping.subject_domain);
    }
    std::map<std::string_view, std::size_t> at;
    for (std::size_t i = 0; i < level.size(); ++i) at[level[i].policy] = i;
    const auto any = at.find(kAnyPolicyOid);
    Level added;
    for (const auto& [policy, subject_domain] : by_issuer_domain) {
      const auto found = at.find(policy);
      if (!mapping_allowed) {
        if (found != at.end()) level[found->second].deleted = true;
        continue;
      }
      std::vector<std::string> expected(subject_domain.begin(), subject_domain.end());
      if (found != at.end()) {
        level[found->second].expected = std::move(expected);
      } else if (any != at.end()) {
        // A child of the anyPolicy node of the level above, as the anyPolicy node of this level is.
        added.push_back(Node{std::string(policy), std::move(expected), level[any->second].parents, false});
      }
    }
    std::move(added.begin(), added.end(), std::back_inserter(level));
    null_ = std::all_of(level.begin(), level.end(), [](const Node& node) { return node.deleted; });
  }

  /// valid_policy_node_set (RFC 9618 §5.4 (g)): policies, in the words of the anchor's domain, that reach the last
  /// level.
  std::vector<std::string> authority_policies() const {
    if (null_) return {};
    std::set<std::string> out;
    std::vector<bool> reached(levels_.back().size(), true);
    for (std::size_t depth = levels_.size() - 1; depth > 0; --depth) {
      const Level& level = levels_[depth];
      const Level& above = levels_[depth - 1];
      std::vector<bool> next(above.size(), false);
      for (std::size_t i = 0; i < level.size(); ++i) {
        const Node& node = level[i];
        if (!reached[i] || node.deleted) continue;
        for (const std::size_t parent : node.parents) {
          next[parent] = true;
          if (above[parent].policy == kAnyPolicyOid && node.policy != kAnyPolicyOid) out.insert(node.policy);
        }
        if (depth + 1 == levels_.size() && node.policy == kAnyPolicyOid) out.insert(node.policy);
      }
      reached = std::move(next);
    }
    return {out.begin(), out.end()};
  }

 private:
  std::vector<Level> levels_;
  bool null_ = false;
};

/// RFC 5280 §6.1.5 (g) in RFC 9618's words.
std::vector<std::string> constrain(const std::vector<std::string>& authority, const std::vector<std::string>& initial) {
  if (initial.empty() || contains(initial, kAnyPolicyOid)) return authority;
  std::set<std::string> out;
  for (const std::string& policy : initial) {
    if (contains(authority, policy) || contains(authority, kAnyPolicyOid)) out.insert(policy);
  }
  return {out.begin(), out.end()};
}

}  // namespace

PolicyOutcome check_policies(const std::vector<Certificate>& chain, const PolicyInputs& inputs) {
  PolicyOutcome out;
  const std::size_t n = chain.size() - 1;  // certificates below the anchor
  Graph graph;
  // RFC 5280 §6.1.2 (d) to (f)
  std::size_t explicit_policy = inputs.require_explicit_policy ? 0 : n + 1;
  std::size_t inhibit_any_policy = inputs.inhibit_any_policy ? 0 : n + 1;
  std::size_t policy_mapping = inputs.inhibit_mapping ? 0 : n + 1;
  std::size_t explicit_since = n;
  const auto wrong = [&](std::size_t at, std::string reason) {
    out.valid = false;
    out.at = at;
    out.reason = std::move(reason);
    return out;
  };
  // §6.1.4 (i), (j)
  const auto constrain_counters = [&](const Certificate& one, std::size_t at) {
    if (const auto& constraints = one.policy_constraints()) {
      if (constraints->require_explicit_policy && *constraints->require_explicit_policy < explicit_policy) {
        explicit_policy = *constraints->require_explicit_policy;
        explicit_since = at;
      }
      if (constraints->inhibit_policy_mapping) {
        policy_mapping = std::min<std::size_t>(policy_mapping, *constraints->inhibit_policy_mapping);
      }
    }
    if (one.inhibit_any_policy()) {
      inhibit_any_policy = std::min<std::size_t>(inhibit_any_policy, *one.inhibit_any_policy());
    }
  };
  const auto demanded_by = [&] {
    return inputs.require_explicit_policy ? std::string("the caller") : quoted(chain[explicit_since]);
  };
  constrain_counters(chain.back(), n);

  for (std::size_t at = n; at-- > 0;) {
    const Certificate& one = chain[at];
    const bool last = at == 0;
    // §6.1.3 (d) to (f)
    if (!one.has_policies()) graph.make_null();
    if (!graph.null()) {
      graph.add_certificate(one.policies(), inhibit_any_policy > 0 || (!last && one.self_issued()));
    }
    if (explicit_policy == 0 && graph.null()) {
      return wrong(at, "the path has no policy left at " + quoted(one) + ", and " + demanded_by() + " asks for one");
    }
    if (last) break;
    // §6.1.4 (a), (b)
    for (const PolicyMapping& mapping : one.policy_mappings()) {
      if (mapping.issuer_domain == kAnyPolicyOid || mapping.subject_domain == kAnyPolicyOid) {
        return wrong(at, quoted(one) + " maps the policy that stands for any policy");
      }
    }
    if (!one.policy_mappings().empty() && !graph.null()) graph.map(one.policy_mappings(), policy_mapping > 0);
    // §6.1.4 (h)
    if (!one.self_issued()) {
      if (explicit_policy > 0) --explicit_policy;
      if (policy_mapping > 0) --policy_mapping;
      if (inhibit_any_policy > 0) --inhibit_any_policy;
    }
    constrain_counters(one, at);
  }
  // §6.1.5 (a), (b); a path of the anchor alone has no certificate to demand anything of
  if (n > 0) {
    const Certificate& leaf = chain.front();
    if (explicit_policy > 0) --explicit_policy;
    if (leaf.policy_constraints() && leaf.policy_constraints()->require_explicit_policy == 0u) {
      explicit_policy = 0;
      explicit_since = 0;
    }
  }
  out.authority_policies = graph.authority_policies();
  out.user_policies = constrain(out.authority_policies, inputs.initial_policies);
  if (explicit_policy == 0 && n > 0 && out.user_policies.empty()) {
    return wrong(0, "the path is valid under no policy that is acceptable, and " + demanded_by() + " asks for one");
  }
  return out;
}

}  // namespace karta::crypto
