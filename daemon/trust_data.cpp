#include "daemon/trust_data.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/x509/path.h"
#include "identity/authority_client.h"

namespace karta::daemon {
namespace {

namespace fs = std::filesystem;
using crypto::Certificate;
using crypto::TrustService;
using identity::ForeignFilter;
using identity::StopList;
using identity::StopListKind;
using identity::StopTable;
using std::chrono::seconds;

constexpr std::size_t kMostCertificates = std::size_t{4} << 20;
constexpr std::size_t kMostRules = std::size_t{1} << 20;
constexpr std::size_t kMostFiles = 10'000;
constexpr seconds kAhead{5 * 60};  // clocks of two machines differ
constexpr seconds kFirstPause{30};
constexpr std::string_view kStopListSuffix = ".stop-list", kFilterSuffix = ".foreign-filter";
constexpr std::string_view kEverywhere = "*";
constexpr std::string_view kSeenSchema = "karta.kartad.seen/1";

Status replace_file(const fs::path& path, ByteView content) {
  NewFile file = TRY(NewFile::create(path, 0600));
  TRY(file.write(content));
  return file.commit_over();
}

Result<std::vector<Certificate>> read_certificates(const std::vector<fs::path>& files) {
  std::vector<Certificate> out;
  for (const fs::path& file : files) {
    const Bytes octets = TRY(read_file(file, kMostCertificates));
    auto some = Certificate::many_from_file_octets(octets);
    if (!some) return fail(ErrorKind::configuration, "\"" + file.string() + "\": " + some.error().message);
    out.insert(out.end(), some->begin(), some->end());
  }
  return out;
}

/// Where no region is named, authorities under one root belong together: the root's name, and a mark of it.
std::string region_under(const Certificate& certificate) {
  const Bytes mark = crypto::digest(crypto::Hash::sha256, certificate.issuer().canonical());
  return certificate.issuer().display() + " #" + to_hex(ByteView(mark).first(4));
}

TrustAnchor own_anchor(const Certificate& certificate) { return {certificate, region_under(certificate)}; }

void add_anchor(std::vector<TrustAnchor>& anchors, TrustAnchor anchor) {
  const bool known = std::any_of(anchors.begin(), anchors.end(), [&](const TrustAnchor& one) {
    return equal(one.certificate.der(), anchor.certificate.der());
  });
  if (!known) anchors.push_back(std::move(anchor));
}

bool same(const std::vector<TrustAnchor>& a, const std::vector<TrustAnchor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const TrustAnchor& x, const TrustAnchor& y) {
    return x.region == y.region && equal(x.certificate.der(), y.certificate.der());
  });
}

std::vector<Certificate> certificates_of(const std::vector<TrustAnchor>& anchors) {
  std::vector<Certificate> out;
  out.reserve(anchors.size());
  for (const TrustAnchor& one : anchors) out.push_back(one.certificate);
  return out;
}

std::string sha256_hex(ByteView octets) { return to_hex(crypto::digest(crypto::Hash::sha256, octets)); }

/// Whether the newest file under a name may be older than it was: never. By kind and name.
struct Seen {
  std::uint64_t epoch = 0;
  std::string hash;
};

/// Files named, and files with the suffix in folders named; with what tells that they have changed.
struct Found {
  std::vector<fs::path> files;
  std::string mark;
};
Found find_files(const std::vector<fs::path>& places, std::string_view suffix) {
  Found found;
  const auto add = [&](const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    const auto time = error ? fs::file_time_type{} : fs::last_write_time(file, error);
    found.mark += file.string() + "|" + (error ? "-" : std::to_string(size)) + "|" +
                  std::to_string(time.time_since_epoch().count()) + "\n";
    found.files.push_back(file);
  };
  for (const fs::path& place : places) {
    std::error_code error;
    if (!fs::is_directory(place, error)) {
      add(place);
      continue;
    }
    std::vector<fs::path> inside;
    for (fs::directory_iterator entry(place, error), end; !error && entry != end && inside.size() < kMostFiles;
         entry.increment(error)) {
      if (entry->path().filename().string().ends_with(suffix)) inside.push_back(entry->path());
    }
    std::sort(inside.begin(), inside.end());
    for (const fs::path& file : inside) add(file);
  }
  return found;
}

}  // namespace

std::string_view name_of(TrustItemKind kind) {
  switch (kind) {
    case TrustItemKind::trust_list:
      return "trust-list";
    case TrustItemKind::stop_list:
      return "stop-list";
    case TrustItemKind::rules:
      return "rules";
    case TrustItemKind::foreign_filter:
      return "foreign-filter";
  }
  return "";
}

std::string_view name_of(TrustState state) {
  switch (state) {
    case TrustState::fresh:
      return "fresh";
    case TrustState::stale:
      return "stale";
    case TrustState::expired:
      return "expired";
    case TrustState::missing:
      return "missing";
    case TrustState::early:
      return "early";
  }
  return "";
}

TrustState TrustItem::state(Time now, seconds stale_for) const {
  if (!present) return TrustState::missing;
  if (now + kAhead < made) return TrustState::early;
  if (now <= until) return TrustState::fresh;
  return now - until <= stale_for ? TrustState::stale : TrustState::expired;
}

std::vector<Certificate> TrustSnapshot::document_signer_certificates() const {
  return certificates_of(document_signers);
}
std::vector<Certificate> TrustSnapshot::card_issuer_certificates() const { return certificates_of(card_issuers); }

std::optional<std::string> TrustSnapshot::region_of(const Certificate& certificate) const {
  const TrustAnchor* found = nullptr;
  bool several = false;
  for (const auto* anchors : {&document_signers, &card_issuers}) {
    for (const TrustAnchor& anchor : *anchors) {
      if (equal(anchor.certificate.der(), certificate.der())) return anchor.region;
      if (!(anchor.certificate.subject() == certificate.issuer())) continue;
      const auto& key = certificate.authority_key_id();
      if (key && !key->key_id.empty() && !anchor.certificate.subject_key_id().empty() &&
          !equal(key->key_id, anchor.certificate.subject_key_id()))
        continue;
      several = several || (found != nullptr && found->region != anchor.region);
      if (found == nullptr) found = &anchor;
    }
  }
  if (!several) return found != nullptr ? std::optional(found->region) : std::nullopt;
  // Two authorities of one name: the signature tells.
  for (const auto* anchors : {&document_signers, &card_issuers}) {
    for (const TrustAnchor& anchor : *anchors) {
      const auto path =
          crypto::verify_path(certificate, {}, {anchor.certificate}, certificate.not_before(), crypto::Purpose::any);
      if (path.fault == crypto::PathFault::none) return anchor.region;
    }
  }
  return std::nullopt;
}

const StopListInUse* TrustSnapshot::stop_list(std::string_view region) const {
  const StopListInUse* everywhere = nullptr;
  for (const StopListInUse& one : stop_lists) {
    if (one.region == region) return &one;
    if (one.region == kEverywhere) everywhere = &one;
  }
  return everywhere;
}

identity::CardVerdict TrustSnapshot::find(std::string_view region, std::uint64_t index) const {
  const StopListInUse* const list = stop_list(region);
  return list != nullptr ? list->table->find(index) : identity::CardVerdict::unknown;
}

bool TrustSnapshot::foreign_stopped(const Certificate& certificate) const {
  const identity::ForeignKey key = identity::foreign_key(certificate);
  return std::any_of(foreign_filters.begin(), foreign_filters.end(),
                     [&](const ForeignFilterInUse& one) { return one.filter->may_list(key); });
}

const TrustItem* TrustSnapshot::item(TrustItemKind kind) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const TrustItem& one) { return one.kind == kind; });
  return found == items.end() ? nullptr : &*found;
}

const TrustItem* TrustSnapshot::item(const StopListInUse& list) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const TrustItem& one) {
    return one.kind == TrustItemKind::stop_list && one.region == list.region && one.name == list.issuer;
  });
  return found == items.end() ? nullptr : &*found;
}

// ---- looking

struct TrustData::Work {
  struct ListFile {
    fs::path path;
    Bytes octets;
    StopList list;
    std::string region;
    identity::StopListHash hash{};
  };

  Work(Sources& all_sources, const Clock& a_clock, identity::ClockGuard& a_guard,
       const std::function<void(const TrustNews&)>& news)
      : sources(all_sources), clock(a_clock), guard(a_guard), on_news(news) {}

  Sources& sources;
  const Clock& clock;
  identity::ClockGuard& guard;
  const std::function<void(const TrustNews&)>& on_news;

  std::vector<Certificate> roots;
  std::vector<TrustAnchor> own_document_signers, own_card_issuers, own_list_signers;
  std::map<std::string, Seen> seen;
  std::map<std::string, std::string> problems;      // by item
  std::map<TrustItemKind, std::string> unreadable;  // a file at the last look of which not even the item can be told
  std::set<std::string> told;                       // refusals, so that each is told once
  TrustSnapshot next;
  bool changed = false;

  std::unique_ptr<identity::Authority> authority;
  std::string trust_list_etag, rules_etag, stop_list_etag, delta_etag;
  std::optional<std::string> lists_mark, filters_mark;  // of the files looked at last; empty: they are looked at again
  std::string trust_list_hash, rules_hash;              // of the file in use, or refused last
  std::uint64_t fetched_base = 0;                       // epoch of the full list deltas are asked for
  Time fetched_base_until{};

  fs::path state(std::string_view name) const { return sources.folder / name; }
  fs::path list_folder() const { return state("stop-lists"); }

  static std::string key_of(TrustItemKind kind, std::string_view region, std::string_view name) {
    return std::string(name_of(kind)) + "|" + std::string(region) + "|" + std::string(name);
  }

  void taken(TrustItemKind kind, std::string_view region, std::string_view name, std::uint64_t epoch) {
    cured(kind, region, name);
    changed = true;
    if (on_news) on_news({kind, std::string(name), std::string(region), true, epoch, {}});
  }
  /// What was wrong with it is so no longer.
  void cured(TrustItemKind kind, std::string_view region, std::string_view name) {
    if (problems.erase(key_of(kind, region, name)) > 0) changed = true;
  }
  /// The same of all of a kind but those whose keys are in `still`; the general one apart.
  void cure_others(TrustItemKind kind, const std::set<std::string>& still) {
    const std::string general = key_of(kind, {}, {}), prefix = std::string(name_of(kind)) + "|";
    changed =
        std::erase_if(problems,
                      [&](const auto& one) {
                        return one.first.starts_with(prefix) && one.first != general && !still.contains(one.first);
                      }) > 0 ||
        changed;
  }
  /// After a look at all files of a kind: `words` of the last that cannot be read; empty: all can.
  void note_unreadable(TrustItemKind kind, std::string words) {
    if (std::string& place = unreadable[kind]; place != words) {
      place = std::move(words);
      changed = true;
    }
  }
  /// `mark`: what was refused, so that the same is not told at every look.
  void refused(TrustItemKind kind, std::string_view region, std::string_view name, std::uint64_t epoch,
               const std::string& words, std::string_view mark) {
    std::string& problem = problems[key_of(kind, region, name)];
    if (problem != words) changed = true;
    problem = words;
    tell_refusal(kind, region, name, epoch, words, mark);
  }
  void tell_refusal(TrustItemKind kind, std::string_view region, std::string_view name, std::uint64_t epoch,
                    const std::string& words, std::string_view mark) {
    // It is judged anew at the next look: a clock may be set right, a signer become known.
    if (kind == TrustItemKind::stop_list) lists_mark.reset();
    if (kind == TrustItemKind::foreign_filter) filters_mark.reset();
    if (told.size() > 1'000) told.clear();
    if (told.insert(std::string(mark) + words).second && on_news)
      on_news({kind, std::string(name), std::string(region), false, epoch, words});
  }

  // -- what has been seen

  void read_seen() {
    const auto octets = read_file(state("seen.json"), kMostRules);
    if (!octets) return;
    const auto document = nlohmann::json::parse(as_text(*octets), nullptr, false);
    if (!document.is_object() || !document.contains("items") || !document["items"].is_object()) return;
    for (const auto& [key, value] : document["items"].items()) {
      if (!value.is_object()) continue;
      const auto epoch = value.find("epoch"), hash = value.find("hash");
      if (epoch == value.end() || !epoch->is_number_unsigned() || hash == value.end() || !hash->is_string()) continue;
      seen[key] = {epoch->get<std::uint64_t>(), hash->get<std::string>()};
    }
  }
  Status write_seen() {
    nlohmann::json items = nlohmann::json::object();
    for (const auto& [key, value] : seen) items[key] = {{"epoch", value.epoch}, {"hash", value.hash}};
    const std::string text = nlohmann::json{{"schema", kSeenSchema}, {"items", items}}.dump(
                                 1, ' ', false, nlohmann::json::error_handler_t::replace) +
                             "\n";
    return replace_file(state("seen.json"), as_bytes(text));
  }
  /// No older than what was seen, and under one number always the same.
  Status check_seen(const std::string& key, std::uint64_t epoch, const std::string& hash) const {
    const auto found = seen.find(key);
    if (found == seen.end()) return {};
    if (epoch < found->second.epoch) {
      return fail(ErrorKind::untrusted, "it has number " + std::to_string(epoch) + ", and " +
                                            std::to_string(found->second.epoch) +
                                            " has been seen: an older one is not taken");
    }
    if (epoch == found->second.epoch && hash != found->second.hash) {
      return fail(ErrorKind::untrusted, "it differs from what was seen under number " + std::to_string(epoch));
    }
    return {};
  }
  /// Remembered before it is used: else a restart could go back.
  Status remember(const std::string& key, std::uint64_t epoch, std::string hash) {
    Seen& place = seen[key];
    if (place.epoch == epoch && place.hash == hash) return {};
    const Seen before = place;
    place = {epoch, std::move(hash)};
    if (sources.read_only) return {};
    auto written = write_seen();
    if (!written) seen[key] = before;
    return written;
  }

  // -- trust list

  void look_at_trust_list(bool fetch) {
    if (roots.empty()) return;
    const auto kind = TrustItemKind::trust_list;
    std::optional<Bytes> octets;
    bool fetched = false;
    const auto refuse = [&](const Error& error, ByteView mark) {
      refused(kind, {}, {}, 0, error.message, mark.empty() ? std::string("trust list") : sha256_hex(mark));
    };
    if (sources.files.trust_list) {
      auto read = read_file(*sources.files.trust_list, crypto::TrustList::kMostOctets);
      if (!read) return refuse(read.error(), {});
      octets = std::move(*read);
    } else {
      if (fetch && authority) {
        auto got = authority->trust_list(trust_list_etag);
        if (!got) {
          refuse(got.error(), {});
        } else if (got->changed) {
          octets = std::move(got->octets);
          trust_list_etag = got->etag;
          fetched = true;
        } else {
          cured(kind, {}, {});
        }
      }
      if (!octets && !next.trust_list) {
        auto kept = read_file(state("trust-list.p7s"), crypto::TrustList::kMostOctets);
        if (kept) octets = std::move(*kept);
      }
    }
    if (!octets) return;
    const std::string hash = sha256_hex(*octets);
    if (hash == trust_list_hash) return cured(kind, {}, {});
    const std::string key = key_of(kind, {}, {});
    const auto attempt = [&]() -> Result<crypto::TrustList> {
      auto list = TRY(crypto::open_trust_list(*octets, roots, clock.now()));
      TRY(check_seen(key, list.sequence, hash));
      if (fetched) TRY(replace_file(state("trust-list.p7s"), *octets));
      TRY(remember(key, list.sequence, hash));
      return list;
    };
    auto list = attempt();
    if (!list) return refuse(list.error(), *octets);
    trust_list_hash = hash;
    guard.vouch(list->issued_at);
    next.trust_list = std::move(*list);
    taken(kind, {}, {}, next.trust_list->sequence);
  }

  /// Anchors of now: entries begin and end.
  void derive() {
    std::vector<TrustAnchor> signers = own_document_signers, issuers = own_card_issuers;
    std::vector<card::CvCertificate> cv;
    if (next.trust_list) {
      const Time now = clock.now();
      for (const crypto::TrustEntry& entry : next.trust_list->entries) {
        if (now < entry.from || (entry.until && now > *entry.until)) continue;
        if (entry.service == TrustService::cvca) {
          // One that cannot be read is no use to anybody, and no reason to go without the others.
          auto certificate = card::CvCertificate::parse(entry.certificate);
          if (certificate && std::find(cv.begin(), cv.end(), *certificate) == cv.end())
            cv.push_back(std::move(*certificate));
          continue;
        }
        const bool signer = entry.service == TrustService::document_signer;
        if (!signer && entry.service != TrustService::qualified_ca && entry.service != TrustService::unqualified_ca)
          continue;
        const auto certificate = Certificate::from_der(entry.certificate);
        if (!certificate) continue;
        TrustAnchor anchor{*certificate, entry.region.empty() ? region_under(*certificate) : entry.region};
        add_anchor(signer ? signers : issuers, std::move(anchor));
      }
    }
    const bool same_cv = cv == next.cv_certificates;
    if (same(signers, next.document_signers) && same(issuers, next.card_issuers) && same_cv) return;
    if (!same(issuers, next.card_issuers)) {
      // Others may sign lists now: all are looked at again.
      lists_mark.reset();
      filters_mark.reset();
      rules_hash.clear();
    }
    next.document_signers = std::move(signers);
    next.card_issuers = std::move(issuers);
    next.cv_certificates = std::move(cv);
    changed = true;
  }

  std::vector<TrustAnchor> list_signers() const {
    std::vector<TrustAnchor> out = own_list_signers;
    for (const TrustAnchor& one : next.card_issuers) add_anchor(out, one);
    return out;
  }
  static std::string region_of_signer(const std::vector<TrustAnchor>& signers, const Certificate& signer) {
    for (const TrustAnchor& one : signers) {
      if (equal(one.certificate.der(), signer.der())) return one.region;
    }
    return {};
  }

  // -- stop-lists

  /// What the authority has newer than what is here goes into a folder of ours.
  void fetch_stop_lists() {
    const auto kind = TrustItemKind::stop_list;
    const auto signers = certificates_of(list_signers());
    const auto keep = [&](const Bytes& octets) -> Status {
      const auto list = TRY(StopList::parse(octets));
      TRY(list.verify(signers, clock.now()));
      std::error_code error;
      fs::create_directories(list_folder(), error);
      std::string number = std::to_string(list.head().epoch);
      number.insert(0, number.size() < 12 ? 12 - number.size() : 0, '0');
      return replace_file(list_folder() / (number + std::string(kStopListSuffix)), octets);
    };
    const auto full = [&]() -> Status {
      auto got = TRY(authority->stop_list(stop_list_etag));
      if (!got.changed) return {};
      TRY(keep(got.octets));
      stop_list_etag = got.etag;
      delta_etag.clear();
      return {};
    };
    const auto attempt = [&]() -> Status {
      if (fetched_base == 0 || clock.now() > fetched_base_until) TRY(full());
      if (fetched_base == 0) return {};
      auto got = authority->stop_list_delta(fetched_base, delta_etag);
      if (!got) {
        // A delta on another full list than ours, or none yet.
        if (got.error().kind != ErrorKind::not_found) return fail(got.error());
        return full();
      }
      if (!got->changed) return {};
      TRY(keep(got->octets));
      delta_etag = got->etag;
      return {};
    };
    if (const Status fetched = attempt(); !fetched) {
      refused(kind, {}, {}, 0, "from the authority: " + fetched.error().message, "fetch");
    } else {
      cured(kind, {}, {});
    }
  }

  void look_at_stop_lists() {
    const auto kind = TrustItemKind::stop_list;
    std::vector<fs::path> places = sources.files.stop_lists;
    places.push_back(list_folder());
    Found found = find_files(places, kStopListSuffix);
    if (found.mark == lists_mark) return;
    lists_mark = std::move(found.mark);
    const auto anchors = list_signers();
    const auto signers = certificates_of(anchors);
    const Time now = clock.now();

    std::map<std::pair<std::string, std::string>, std::vector<ListFile>> groups;  // by region and issuer
    std::string trouble;
    for (const fs::path& path : found.files) {
      const auto attempt = [&]() -> Result<ListFile> {
        Bytes octets = TRY(read_file(path, identity::kMostStopListOctets));
        StopList list = TRY(StopList::parse(octets));
        const Certificate* const signer = TRY(list.signer(signers, now));
        std::string region = region_of_signer(anchors, *signer);
        const auto hash = list.hash();
        return ListFile{path, std::move(octets), std::move(list), std::move(region), hash};
      };
      auto file = attempt();
      if (!file) {
        // A folder that is not there yet is no fault of anybody's.
        std::error_code error;
        if (file.error().kind == ErrorKind::not_found && !fs::exists(path, error) && path == list_folder()) continue;
        trouble = "\"" + path.filename().string() + "\": " + file.error().message;
        tell_refusal(kind, {}, {}, 0, trouble, path.string());
        continue;
      }
      auto place = std::pair(file->region, file->list.head().issuer);
      groups[std::move(place)].push_back(std::move(*file));
    }
    note_unreadable(kind, std::move(trouble));
    std::set<std::string> there;
    for (auto& [place, files] : groups) {
      take_stop_list(place.first, place.second, files);
      there.insert(key_of(kind, place.first, place.second));
    }
    cure_others(kind, there);
  }

  void take_stop_list(const std::string& region, const std::string& issuer, std::vector<ListFile>& files) {
    const auto kind = TrustItemKind::stop_list;
    const std::string key = key_of(kind, region, issuer);
    // From each full list as far as deltas lead; the furthest counts. A delta's base is named by its hash.
    std::vector<const ListFile*> best;
    for (const ListFile& full : files) {
      if (full.list.head().kind != StopListKind::full) continue;
      std::vector<const ListFile*> chain = {&full};
      while (true) {
        const ListFile* further = nullptr;
        for (const ListFile& one : files) {
          if (one.list.head().kind == StopListKind::delta && one.list.head().base == chain.back()->hash &&
              one.list.head().epoch > chain.back()->list.head().epoch &&
              (further == nullptr || one.list.head().epoch > further->list.head().epoch))
            further = &one;
        }
        if (further == nullptr) break;
        chain.push_back(further);
      }
      const auto end = [](const auto& some) { return some.back()->list.head().epoch; };
      if (best.empty() || end(chain) > end(best) || (end(chain) == end(best) && chain.size() < best.size()))
        best = std::move(chain);
    }
    if (best.empty()) {
      refused(kind, region, issuer, 0, "there are deltas and no full list they stand on", issuer);
      return;
    }
    const identity::StopListHead& head = best.back()->list.head();
    const std::string hash = to_hex(best.back()->hash);
    StopListInUse* in_use = nullptr;
    for (StopListInUse& one : next.stop_lists) {
      if (one.region == region && one.issuer == issuer) in_use = &one;
    }
    if (best.front()->path.parent_path() == list_folder()) {
      fetched_base = best.front()->list.head().epoch;
      fetched_base_until = best.front()->list.head().next_update;
    }
    if (in_use != nullptr && in_use->table->hash() == best.back()->hash) return cured(kind, region, issuer);
    const auto attempt = [&]() -> Result<std::shared_ptr<const StopTable>> {
      TRY(check_seen(key, head.epoch, hash));
      if (in_use != nullptr) TRY(identity::check_succession(in_use->table->head(), head));
      auto table = std::make_shared<StopTable>(TRY(StopTable::unfold(best.front()->list)));
      for (std::size_t i = 1; i < best.size(); ++i) TRY(table->apply(best[i]->list));
      TRY(remember(key, head.epoch, hash));
      return std::shared_ptr<const StopTable>(std::move(table));
    };
    auto table = attempt();
    if (!table) {
      refused(kind, region, issuer, head.epoch, table.error().message, hash);
      return;
    }
    guard.vouch(head.this_update);
    if (in_use == nullptr) {
      next.stop_lists.push_back({region, issuer, std::move(*table)});
    } else {
      in_use->table = std::move(*table);
    }
    taken(kind, region, issuer, head.epoch);
    // What was fetched and is not needed any more.
    for (const ListFile& file : files) {
      if (sources.read_only || file.path.parent_path() != list_folder() ||
          file.list.head().epoch >= best.front()->list.head().epoch)
        continue;
      std::error_code error;
      fs::remove(file.path, error);
    }
  }

  // -- rules

  void look_at_rules(bool fetch) {
    if (!sources.open_rules) return;
    const auto kind = TrustItemKind::rules;
    std::optional<Bytes> octets;
    bool fetched = false;
    const auto refuse = [&](const Error& error, ByteView mark) {
      refused(kind, {}, {}, 0, error.message, mark.empty() ? std::string("rules") : sha256_hex(mark));
    };
    if (sources.files.rules) {
      auto read = read_file(*sources.files.rules, kMostRules);
      if (!read) return refuse(read.error(), {});
      octets = std::move(*read);
    } else {
      if (fetch && authority) {
        auto got = authority->rules(rules_etag);
        no_rules = !got && got.error().kind == ErrorKind::not_found;
        if (no_rules) {
          // An authority of clinics has no rules for gates: nothing is missing.
          cured(kind, {}, {});
        } else if (!got) {
          refuse(got.error(), {});
        } else if (got->changed) {
          octets = std::move(got->octets);
          rules_etag = got->etag;
          fetched = true;
        } else {
          cured(kind, {}, {});
        }
      }
      if (!octets && next.rules.empty()) {
        auto kept = read_file(state("rules.p7s"), kMostRules);
        if (kept) octets = std::move(*kept);
      }
    }
    if (!octets) return;
    const std::string hash = sha256_hex(*octets);
    if (hash == rules_hash) return cured(kind, {}, {});
    const std::string key = key_of(kind, {}, {});
    std::vector<Certificate> signers = roots;
    const auto more = certificates_of(list_signers());
    signers.insert(signers.end(), more.begin(), more.end());
    const auto attempt = [&]() -> Result<RulesHead> {
      const RulesHead head = TRY(sources.open_rules(*octets, signers, clock.now()));
      TRY(check_seen(key, head.sequence, hash));
      if (fetched) TRY(replace_file(state("rules.p7s"), *octets));
      TRY(remember(key, head.sequence, hash));
      return head;
    };
    const auto head = attempt();
    if (!head) return refuse(head.error(), *octets);
    rules_hash = hash;
    guard.vouch(head->made);
    next.rules = std::move(*octets);
    rules_head = *head;
    taken(kind, {}, {}, head->sequence);
  }
  std::optional<RulesHead> rules_head;
  bool no_rules = false;  // the authority says that it has none

  // -- filters of foreign certificates

  void look_at_filters() {
    const auto kind = TrustItemKind::foreign_filter;
    Found found = find_files(sources.files.foreign_filters, kFilterSuffix);
    if (found.mark == filters_mark) return;
    filters_mark = std::move(found.mark);
    const auto anchors = list_signers();
    const auto signers = certificates_of(anchors);
    std::set<std::string> refused_now;
    std::string trouble;
    for (const fs::path& path : found.files) {
      std::string region, issuer;
      std::uint64_t epoch = 0;
      const auto attempt = [&]() -> Status {
        const Bytes octets = TRY(read_file(path, identity::kMostForeignFilterOctets));
        const Certificate* const signer = TRY(ForeignFilter::signer(octets, signers, clock.now()));
        auto filter = std::make_shared<ForeignFilter>(TRY(ForeignFilter::parse(octets)));
        region = region_of_signer(anchors, *signer);
        issuer = filter->head().issuer;
        epoch = filter->head().epoch;
        const std::string key = key_of(kind, region, issuer), hash = sha256_hex(octets);
        for (ForeignFilterInUse& one : next.foreign_filters) {
          // In a folder older ones stand beside the newest.
          if (one.region == region && one.issuer == issuer && one.filter->head().epoch >= epoch) return {};
        }
        TRY(check_seen(key, epoch, hash));
        TRY(remember(key, epoch, hash));
        std::erase_if(next.foreign_filters,
                      [&](const ForeignFilterInUse& one) { return one.region == region && one.issuer == issuer; });
        guard.vouch(filter->head().this_update);
        next.foreign_filters.push_back({region, issuer, std::move(filter)});
        taken(kind, region, issuer, epoch);
        return {};
      };
      const auto took = attempt();
      if (took) continue;
      const std::string words = "\"" + path.filename().string() + "\": " + took.error().message;
      if (issuer.empty()) {
        trouble = words;
        tell_refusal(kind, region, issuer, epoch, words, path.string());
      } else {
        refused(kind, region, issuer, epoch, words, path.string());
        refused_now.insert(key_of(kind, region, issuer));
      }
    }
    note_unreadable(kind, std::move(trouble));
    cure_others(kind, refused_now);
  }

  // -- what is in use

  void describe() {
    std::vector<TrustItem> items;
    const auto problem = [&](TrustItemKind kind, std::string_view region, std::string_view name) {
      const auto found = problems.find(key_of(kind, region, name));
      return found != problems.end() ? found->second : std::string();
    };
    const auto item = [&](TrustItemKind kind, std::string_view region, std::string_view name) -> TrustItem& {
      TrustItem& one = items.emplace_back();
      one.kind = kind;
      one.region = region;
      one.name = name;
      one.problem = problem(kind, region, name);
      return one;
    };
    if (!roots.empty()) {
      TrustItem& list = item(TrustItemKind::trust_list, {}, {});
      if (next.trust_list) {
        list.present = true;
        list.epoch = next.trust_list->sequence;
        list.made = next.trust_list->issued_at;
        list.until = next.trust_list->next_update;
      }
    }
    std::string lists_problem = problem(TrustItemKind::stop_list, {}, {});
    if (lists_problem.empty()) lists_problem = unreadable[TrustItemKind::stop_list];
    for (const StopListInUse& one : next.stop_lists) {
      TrustItem& list = item(TrustItemKind::stop_list, one.region, one.issuer);
      list.present = true;
      list.epoch = one.table->head().epoch;
      list.made = one.table->head().this_update;
      list.until = one.table->head().next_update;
      if (list.problem.empty()) list.problem = lists_problem;
    }
    if (next.stop_lists.empty() && (!sources.files.stop_lists.empty() || sources.connect))
      item(TrustItemKind::stop_list, {}, {}).problem = lists_problem;
    // What was refused and has nothing in use in its place.
    const auto describe_refused = [&](TrustItemKind kind) {
      const std::string prefix = std::string(name_of(kind)) + "|";
      for (const auto& [key, words] : problems) {
        if (!key.starts_with(prefix)) continue;
        const std::size_t bar = key.rfind('|');
        const std::string region = key.substr(prefix.size(), bar - prefix.size()), name = key.substr(bar + 1);
        const bool there = std::any_of(items.begin(), items.end(), [&](const TrustItem& one) {
          return one.kind == kind && one.region == region && one.name == name;
        });
        if (!there && !(region.empty() && name.empty())) item(kind, region, name);
      }
    };
    describe_refused(TrustItemKind::stop_list);
    if (sources.open_rules && (rules_head || !no_rules) && (rules_head || sources.files.rules || sources.connect)) {
      TrustItem& rules = item(TrustItemKind::rules, {}, {});
      if (rules_head) {
        rules.present = true;
        rules.epoch = rules_head->sequence;
        rules.made = rules_head->made;
        rules.until = rules_head->until;
      }
    }
    for (const ForeignFilterInUse& one : next.foreign_filters) {
      TrustItem& filter = item(TrustItemKind::foreign_filter, one.region, one.issuer);
      filter.present = true;
      filter.epoch = one.filter->head().epoch;
      filter.made = one.filter->head().this_update;
      filter.until = one.filter->head().next_update;
    }
    describe_refused(TrustItemKind::foreign_filter);
    if (const std::string& words = unreadable[TrustItemKind::foreign_filter]; !words.empty()) {
      item(TrustItemKind::foreign_filter, {}, {}).problem = words;
    }
    next.items = std::move(items);
  }
};

TrustData::TrustData(Sources sources, const Clock& clock, identity::ClockGuard& guard)
    : sources_(std::move(sources)),
      clock_(&clock),
      guard_(&guard),
      work_(std::make_unique<Work>(sources_, clock, guard, on_news_)),
      snapshot_(std::make_shared<TrustSnapshot>()) {}

TrustData::~TrustData() { stop(); }

Status TrustData::load() {
  {
    const std::scoped_lock lock(looking_);
    std::error_code error;
    if (!sources_.read_only) fs::create_directories(sources_.folder, error);
    if (error) return fail(ErrorKind::io, "cannot make \"" + sources_.folder.string() + "\": " + error.message());
    Work& work = *work_;
    work.roots = TRY(read_certificates(sources_.files.roots));
    const auto own = [](const std::vector<fs::path>& files) -> Result<std::vector<TrustAnchor>> {
      std::vector<TrustAnchor> anchors;
      const auto certificates = TRY(read_certificates(files));
      for (const Certificate& one : certificates) add_anchor(anchors, own_anchor(one));
      return anchors;
    };
    work.own_document_signers = TRY(own(sources_.files.document_signers));
    work.own_card_issuers = TRY(own(sources_.files.card_issuers));
    work.own_list_signers = TRY(own(sources_.files.stop_list_signers));
    if (sources_.files.trust_list && work.roots.empty()) {
      return fail(ErrorKind::configuration, "a trust list is configured, and no root that signs it",
                  "name the national root: trust.roots");
    }
    work.read_seen();
    work.changed = true;
  }
  look(false);
  return {};
}

void TrustData::look(bool fetch) {
  const std::scoped_lock looking(looking_);
  Work& work = *work_;
  guard_->look(clock_->now());
  if (fetch && sources_.connect) {
    auto authority = sources_.connect();
    if (authority) {
      work.authority = std::move(*authority);
    } else {
      work.refused(TrustItemKind::stop_list, {}, {}, 0, authority.error().message, "connect");
    }
  }
  if (work.authority && guard_->state() != identity::ClockState::fine) {
    // Only who knows the terminal is asked: it is told the time over a connection both ends of which are known.
    const auto standing = work.authority->standing();
    if (standing) {
      guard_->confirm(clock_->now(), standing->now);
      guard_->look(clock_->now());
    }
  }
  work.look_at_trust_list(fetch);
  work.derive();
  if (work.authority) work.fetch_stop_lists();
  work.look_at_stop_lists();
  work.look_at_rules(fetch);
  work.look_at_filters();
  work.authority.reset();
  if (!work.changed) return;
  work.changed = false;
  work.describe();
  ++work.next.number;
  auto made = std::make_shared<const TrustSnapshot>(work.next);
  const std::scoped_lock lock(mutex_);
  snapshot_ = std::move(made);
}

void TrustData::start() {
  thread_ = std::thread([this] { run(); });
}

void TrustData::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TrustData::run() {
  const seconds refresh = std::max<seconds>(sources_.files.refresh, seconds(1));
  seconds pause = std::min(kFirstPause, refresh);
  while (true) {
    look(true);
    bool well = true;
    for (const TrustItem& one : snapshot()->items) well = well && one.problem.empty();
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, well ? refresh : pause, [&] { return stopping_; });
    if (stopping_) return;
    pause = well ? std::min(kFirstPause, refresh) : std::min(2 * pause, refresh);
  }
}

std::shared_ptr<const TrustSnapshot> TrustData::snapshot() const {
  const std::scoped_lock lock(mutex_);
  return snapshot_;
}

identity::ClockState TrustData::clock_state() { return guard_->look(clock_->now()).state; }

}  // namespace karta::daemon
