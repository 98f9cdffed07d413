// StopListFiles: the looks at stop-lists, full ones and the deltas that stand on them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/trust/look.h"
#include "identity/stop_list/stop_list.h"

namespace karta::daemon::detail {

class StopListFiles {
 public:
  /// `look` must outlive it.
  explicit StopListFiles(TrustLook& look) : look_(look) {}

  /// What the authority has newer than what is here goes into a folder of ours; look() finds it there.
  void fetch();
  void look();
  /// Files are judged anew at the next look: a clock may be set right, a signer become known.
  void look_again() { mark_.reset(); }
  void describe(std::vector<TrustItem>& items) const;

 private:
  struct ListFile {
    std::filesystem::path path;
    Bytes octets;  ///< which the list aliases
    identity::StopList list;
    std::string region;  ///< of its signer
    identity::StopListHash hash{};
  };
  using Chain = std::vector<const ListFile*>;

  std::filesystem::path folder() const { return look_.state("stop-lists"); }
  Status fetch_full();
  Status fetch_newer();
  Status keep(const Bytes& octets);
  Result<ListFile> read(const std::filesystem::path& path, const std::vector<TrustAnchor>& anchors,
                        const std::vector<crypto::Certificate>& signers) const;
  /// From each full list as far as deltas lead; the furthest counts. Empty: there is no full list.
  static Chain furthest(const std::vector<ListFile>& files);
  /// One issuer's, of one region.
  void take(const TrustItemId& item, const std::vector<ListFile>& files);
  /// What was fetched and is older than the full list in use.
  void remove_older(const std::vector<ListFile>& files, std::uint64_t epoch) const;
  void refuse(const TrustItemId& item, std::uint64_t epoch, const std::string& words, std::string_view mark);

  TrustLook& look_;
  std::string full_etag_, delta_etag_;
  std::optional<std::string> mark_;  // of the files looked at last
  std::uint64_t fetched_base_ = 0;   // epoch of the full list deltas are asked for
  Time fetched_base_until_{};
};

}  // namespace karta::daemon::detail
