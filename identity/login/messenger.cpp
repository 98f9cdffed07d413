#include "identity/login/messenger.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "identity/services/key.h"
#include "service/curl_library.h"
#include "service/log.h"

namespace karta::identity {
namespace {

constexpr long kConnectSeconds = 10, kTotalSeconds = 30;
constexpr int kTries = 3;
/// For what waits when the server stops or reads its configuration anew: none is begun later.
constexpr std::chrono::seconds kStopTime{5};

constexpr Words kSubject{"Code for logging in", "Код для входа"};
constexpr Words kCodeIs{"Your code for logging in:", "Ваш код для входа:"};
constexpr Words kLives{"It is good once, for", "Код действует один раз, в течение:"};
constexpr Words kNotYou{
    "If it was not you who asked for it, do nothing: nobody gets in without the code. Give it to "
    "nobody, whoever asks.",
    "Если код запрашивали не вы, ничего не делайте: без кода никто не войдёт. Никому его не "
    "сообщайте, кто бы ни спросил."};

/// Delivers one message; called by the messenger's own thread.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual Status carry(const SecretBytes& mail, const std::string& to) = 0;
};

class FolderCarrier final : public Carrier {
 public:
  explicit FolderCarrier(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Status carry(const SecretBytes& mail, const std::string&) override {
    return write_new_file(folder_ / (to_hex(random_.bytes(16)) + ".eml"), mail.expose_secret(), 0600);
  }

 private:
  std::filesystem::path folder_;
  SystemRandom random_;
};

class MailCarrier final : public Carrier {
 public:
  MailCarrier(MessageConfig config, SecretBytes password)
      : config_(std::move(config)), password_(std::move(password)) {}

  Status carry(const SecretBytes& mail, const std::string& to) override {
    const service::CurlLibrary& curl = *TRY(service::curl_library());
    const std::unique_ptr<CURL, decltype(curl.easy_cleanup)> handle(curl.easy_init(), curl.easy_cleanup);
    if (!handle) return fail(ErrorKind::internal, "libcurl gives no handle");
    curl_slist* const recipients = curl.slist_append(nullptr, to.c_str());
    const std::unique_ptr<curl_slist, decltype(curl.slist_free_all)> keeper(recipients, curl.slist_free_all);
    Reading reading{mail.expose_secret()};
    std::array<char, CURL_ERROR_SIZE> why{};
    const auto set = [&](CURLoption option, auto value) { curl.easy_setopt(handle.get(), option, value); };
    set(CURLOPT_URL, config_.server.c_str());
    set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, why.data());
    set(CURLOPT_USE_SSL, static_cast<long>(config_.plain ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    if (!config_.roots.empty()) set(CURLOPT_CAINFO, config_.roots.c_str());
    std::string password;
    if (!config_.user.empty()) {
      password = password_.expose_secret_text();
      set(CURLOPT_USERNAME, config_.user.c_str());
      set(CURLOPT_PASSWORD, password.c_str());
    }
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_TIMEOUT, kTotalSeconds);
    set(CURLOPT_MAIL_FROM, config_.from.c_str());
    set(CURLOPT_MAIL_RCPT, recipients);
    set(CURLOPT_READFUNCTION, &Reading::read);
    set(CURLOPT_READDATA, &reading);
    set(CURLOPT_UPLOAD, 1L);
    const CURLcode done = curl.easy_perform(handle.get());
    wipe({reinterpret_cast<std::uint8_t*>(password.data()), password.size()});
    // What a mail server says of a refusal may repeat the address: it is not passed on.
    if (done != CURLE_OK) {
      return fail(ErrorKind::io, "the mail server \"" + config_.server + "\": " + curl.easy_strerror(done));
    }
    return {};
  }

 private:
  struct Reading {
    ByteView rest;
    static std::size_t read(char* to, std::size_t one, std::size_t count, void* user) {
      auto& self = *static_cast<Reading*>(user);
      const std::size_t octets = std::min(one * count, self.rest.size());
      std::memcpy(to, self.rest.data(), octets);
      self.rest = self.rest.subspan(octets);
      return octets;
    }
  };

  MessageConfig config_;
  SecretBytes password_;
};

class QueuedMessenger final : public Messenger {
 public:
  QueuedMessenger(std::unique_ptr<Carrier> carrier, std::string from, const Clock& clock)
      : carrier_(std::move(carrier)), from_(std::move(from)), clock_(clock), thread_([this] { run(); }) {}

  ~QueuedMessenger() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      stop_by_ = std::chrono::steady_clock::now() + kStopTime;
    }
    changed_.notify_all();
    thread_.join();
  }

  bool send(CodeMessage message) override {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() >= kMostMessages) return false;
      waiting_.push_back(std::move(message));
    }
    changed_.notify_one();
    return true;
  }

  std::string problem() const override {
    const std::lock_guard lock(mutex_);
    return problem_;
  }

 private:
  void run() {
    for (;;) {
      CodeMessage message;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        // Citizens have been told that their codes are on the way; a configuration that is read anew changes that not.
        if (waiting_.empty() || std::chrono::steady_clock::now() >= stop_by_) break;
        message = std::move(waiting_.front());
        waiting_.pop_front();
      }
      const SecretBytes mail = write_mail(message, from_, clock_.now(), random_);
      Status done = carrier_->carry(mail, message.to);
      for (int tries = 1; !done && tries < kTries && !is_stopping(); ++tries) done = carrier_->carry(mail, message.to);
      if (!done) service::log_warning("a code was not sent: " + done.error().message);
      const std::lock_guard lock(mutex_);
      if (!done && stopping_) break;
      problem_ = done ? std::string() : "codes are not sent: " + done.error().message;
    }
    if (!waiting_.empty()) service::log_warning(std::to_string(waiting_.size()) + " codes were not sent: the end came");
  }
  bool is_stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  std::unique_ptr<Carrier> carrier_;
  const std::string from_;
  const Clock& clock_;
  SystemRandom random_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<CodeMessage> waiting_;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stop_by_ = std::chrono::steady_clock::time_point::max();
  std::string problem_;
  std::thread thread_;  // the last: it uses all of the above
};

/// RFC 5322 §3.3: "Sun, 22 Nov 2026 12:00:00 +0000".
std::string mail_date(Time now) {
  std::string date = service::http_date(now.time_since_epoch().count());
  constexpr std::string_view kZone = "GMT";
  return date.substr(0, date.size() - kZone.size()) + "+0000";
}

}  // namespace

SecretBytes write_mail(const CodeMessage& message, const std::string& from, Time now, RandomSource& random) {
  const Language language = message.language;
  const std::string domain = from.substr(from.find('@') + 1);
  const std::string head = "Date: " + mail_date(now) + "\r\nFrom: <" + from + ">\r\nTo: <" + message.to +
                           ">\r\nMessage-ID: <" + to_hex(random.bytes(16)) + "@" + domain + ">\r\nSubject: =?UTF-8?B?" +
                           to_base64(as_bytes(kSubject.in(language))) +
                           "?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                           "Content-Transfer-Encoding: 8bit\r\nAuto-Submitted: auto-generated\r\nContent-Language: " +
                           std::string(name_of(language)) + "\r\n\r\n" + std::string(kCodeIs.in(language)) +
                           "\r\n\r\n    ";
  const std::string tail = "\r\n\r\n" + std::string(kLives.in(language)) + " " + show_span(language, message.life) +
                           ".\r\n" + std::string(kNotYou.in(language)) + "\r\n";
  return SecretBytes(concat({as_bytes(head), message.code.expose_secret(), as_bytes(tail)}));
}

Result<std::unique_ptr<Messenger>> open_messenger(const MessageConfig& config, const Clock& clock) {
  std::unique_ptr<Carrier> carrier;
  if (config.server.empty()) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(config.folder, ignored)) {
      return fail(ErrorKind::configuration, "\"" + config.folder.string() + "\" is no folder");
    }
    carrier = std::make_unique<FolderCarrier>(config.folder);
  } else {
    SecretBytes password;
    if (!config.user.empty()) password = TRY(read_secret_file(config.password_file));
    carrier = std::make_unique<MailCarrier>(config, std::move(password));
  }
  return std::unique_ptr<Messenger>(std::make_unique<QueuedMessenger>(std::move(carrier), config.from, clock));
}

}  // namespace karta::identity
