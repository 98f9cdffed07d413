#include "daemon/upload.h"

#include <algorithm>

namespace karta::daemon {
namespace {

constexpr std::chrono::hours kPruneEvery{1};

/// What a failure of the authority means for the journal.
UploadState state_for(const Error& error) {
  switch (error.kind) {
    case ErrorKind::already_exists:
    case ErrorKind::not_found:
    case ErrorKind::invalid_signature:
      return UploadState::alarm;
    case ErrorKind::not_permitted:
      return UploadState::refused;
    default:
      return UploadState::away;
  }
}

tl::unexpected<Error> alarm(ErrorKind kind, std::string words) {
  return fail(kind, "journal upload: " + std::move(words),
              "two terminals under one name, or a journal put back from a copy? look at both: karta journal verify");
}

}  // namespace

std::string_view name_of(UploadState state) {
  switch (state) {
    case UploadState::done:
      return "done";
    case UploadState::behind:
      return "behind";
    case UploadState::away:
      return "away";
    case UploadState::refused:
      return "refused";
    case UploadState::alarm:
      return "alarm";
  }
  return "";
}

JournalUploader::JournalUploader(identity::Journal& journal, Connect connect, const Clock& clock, UploadOptions options)
    : journal_(&journal), connect_(std::move(connect)), clock_(&clock), options_(options) {
  options_.batch_records = std::clamp<std::size_t>(options_.batch_records, 1, identity::kMostUploadRecords);
  status_.uploaded_to = journal.uploaded_to();
}

JournalUploader::~JournalUploader() { stop(); }

void JournalUploader::start(std::function<void(const UploadStatus&)> changed) {
  changed_ = std::move(changed);
  thread_ = std::thread([this] { run(); });
}

void JournalUploader::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void JournalUploader::wake() {
  {
    const std::scoped_lock lock(mutex_);
    wake_ = true;
  }
  woken_.notify_one();
}

UploadStatus JournalUploader::status() const {
  const std::scoped_lock lock(mutex_);
  UploadStatus status = status_;
  const std::uint64_t last = journal_->last().number;
  status.waiting = last > status.uploaded_to ? last - status.uploaded_to : 0;
  if (status.state == UploadState::done && status.waiting > 0) status.state = UploadState::behind;
  return status;
}

Result<bool> JournalUploader::send_batch() {
  const auto outcome = [&]() -> Result<bool> {
    std::uint64_t from = journal_->uploaded_to();
    if (journal_->last().number <= from) return false;
    if (!authority_) authority_ = TRY(connect_());
    const auto page_after = [&](std::uint64_t after) -> Result<std::vector<identity::JournalRecord>> {
      auto page = TRY(journal_->pages(after, options_.batch_records));
      // Large bodies: no more than the authority takes at once.
      std::size_t octets = 1024, count = 0;
      for (; count < page.size(); ++count) {
        octets += page[count].body.size() + 512;
        if (octets > identity::kMostUploadOctets) break;
      }
      page.resize(std::max<std::size_t>(std::min(count, page.size()), page.empty() ? 0 : 1));
      return page;
    };
    auto page = TRY(page_after(from));
    auto taken = authority_->upload_journal(identity::format_upload(journal_->terminal(), page));
    if (!taken && taken.error().kind == ErrorKind::not_found) {
      // The authority lacks what it had confirmed (put back from a copy of its own, say): what is still here is sent
      // again.
      const identity::TerminalStanding standing = TRY(authority_->standing());
      if (standing.journal_to >= from || standing.journal_to < journal_->anchor().number) {
        return alarm(ErrorKind::not_found, "the authority has records to " + std::to_string(standing.journal_to) +
                                               ", this terminal had its word for " + std::to_string(from));
      }
      from = standing.journal_to;
      page = TRY(page_after(from));
      taken = authority_->upload_journal(identity::format_upload(journal_->terminal(), page));
    }
    if (!taken) {
      if (taken.error().kind == ErrorKind::already_exists)
        return alarm(ErrorKind::already_exists,
                     "the authority holds another history of this terminal (" + taken.error().message + ")");
      return fail(std::move(taken).error());
    }
    // Its word is kept only for what is here too, with the same hash.
    const std::uint64_t last = journal_->last().number;
    if (taken->to > last) {
      return alarm(ErrorKind::already_exists, "the authority has records to " + std::to_string(taken->to) +
                                                  ", this journal ends at " + std::to_string(last));
    }
    if (taken->to <= from) {
      return fail(ErrorKind::io, "journal upload: the authority took nothing", "it is tried again");
    }
    const auto told = TRY(journal_->pages(taken->to - 1, 1));
    if (told.empty() || told.front().number != taken->to || !equal(told.front().hash, taken->hash)) {
      return alarm(ErrorKind::already_exists,
                   "the authority has another record " + std::to_string(taken->to) + " than this journal");
    }
    TRY(journal_->mark_uploaded(taken->to));
    return taken->to < last;
  }();
  note(outcome);
  return outcome;
}

void JournalUploader::note(const Result<bool>& outcome) {
  if (!outcome) authority_.reset();
  UploadStatus now;
  {
    const std::scoped_lock lock(mutex_);
    const UploadState before = status_.state;
    const std::uint64_t to = journal_->uploaded_to();
    const bool arrived = to != status_.uploaded_to;
    status_.uploaded_to = to;
    if (outcome) {
      status_.state = *outcome ? UploadState::behind : UploadState::done;
      status_.problem.clear();
      status_.since.reset();
      if (arrived) status_.last_success = clock_->now();
    } else {
      status_.state = state_for(outcome.error());
      status_.problem = outcome.error().message;
      if (!status_.since) status_.since = clock_->now();
    }
    if (!changed_ || (before == status_.state && !arrived)) return;
    now = status_;
  }
  changed_(now);
}

void JournalUploader::run() {
  std::chrono::seconds pause = options_.first_pause;
  auto pruned = std::chrono::steady_clock::now() - kPruneEvery;
  while (true) {
    bool more = true;
    while (more) {
      {
        const std::scoped_lock lock(mutex_);
        if (stopping_) return;
      }
      const auto sent = send_batch();
      more = sent && *sent;
      if (sent) pause = options_.first_pause;
    }
    const bool well = status().problem.empty();
    // A connection left open would go on under a certificate that has been renewed.
    authority_.reset();
    if (well && std::chrono::steady_clock::now() - pruned >= kPruneEvery &&
        journal_->clock_guard().state() == identity::ClockState::fine) {
      // What cannot be removed now is removed an hour later.
      (void)journal_->prune(clock_->now() - options_.keep);
      pruned = std::chrono::steady_clock::now();
    }
    std::unique_lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + (well ? options_.every : pause);
    const auto enough = [&] {
      // A full batch does not wait for its turn; while the authority is away nothing hurries.
      if (!std::exchange(wake_, false) || !well) return false;
      return journal_->last().number >= status_.uploaded_to + options_.batch_records;
    };
    woken_.wait_until(lock, until, [&] { return stopping_ || enough(); });
    if (stopping_) return;
    if (!well) pause = std::min(2 * pause, options_.most_pause);
  }
}

}  // namespace karta::daemon
