// ConsolePages: what open_console_routes() makes, the operator's pages themselves. One class, since all of them need
// who asks, what for and the same few ledgers; each concept of it is a file of its own, named below. For those files
// only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/console/console_routes.h"
#include "identity/console/operator_acts.h"
#include "identity/console/words.h"
#include "identity/pages/page.h"
#include "identity/requests/departments.h"
#include "identity/requests/request_ledger.h"
#include "identity/terminals.h"

namespace karta::identity {

struct ChartSeries;
class DepartmentNames;

class ConsolePages final : public RoomRoutes {
 public:
  using HttpRequest = service::HttpRequest;
  using HttpResponse = service::HttpResponse;

  ConsolePages(const ConsoleConfig& config, Registry terminals, ConsoleOptions options, const RoomSurroundings& around);

  HttpResponse answer(const HttpRequest& request) override;

 private:
  static constexpr std::string_view kHome = "/console";

  /// One request by an operator who is known.
  struct Visit {
    const HttpRequest& request;
    const ConsoleOperator* person = nullptr;
    Language language = Language::english;
    std::string csrf;
    std::string log_out_key;  ///< empty where a certificate logs in: there is nothing to log out of
    std::string fields;       ///< of the answer
    std::string_view section = kHome;

    std::string_view in(const Words& text) const { return text.in(language); }
    std::string actor() const { return "operator:" + person->name; }
  };

  // What comes in (console_routes.cpp)

  HttpResponse dispatch(Visit& visit, bool reads);
  /// The form of a POST that comes from a page of ours, of this log-in; else the page that says why not.
  std::optional<HttpResponse> take_form(const Visit& visit, FormData& form);

  // Who is there (who_is_there.cpp)

  /// An answer where nobody may come in so.
  std::optional<HttpResponse> identify(Visit& visit);
  std::optional<HttpResponse> identify_certificate(Visit& visit, const ConsoleOperator& person);
  HttpResponse to_log_in(const HttpRequest& request) const;

  // What all pages have (console_frame.cpp)

  HttpResponse page(const Visit& visit, int status, std::string_view title, const Html& content,
                    bool keeps_address = true) const;
  HttpResponse message(const Visit& visit, int status, NoticeKind kind, const Words& title,
                       std::string_view text) const;
  HttpResponse forbidden(const Visit& visit);
  HttpResponse nothing_here(const Visit& visit) const;
  HttpResponse error_page(const Visit& visit, const Error& error) const;
  static void heading(Html& html, std::string_view text);
  /// <table> inside a region that scrolls by itself.
  static void open_table(Html& html, std::string_view label, const Visit& visit,
                         std::initializer_list<const Words*> columns);
  static void close_table(Html& html);
  static const console_words::CardStateWords& words_of(CardState state);
  static NoticeKind colour_of(CardState state);
  static NoticeKind colour_of(TerminalState state);
  static std::optional<std::uint64_t> number_in(std::string_view text);

  // What it is done for, and the note of it (purposes.cpp)

  /// What for, from the fields purpose and case; an error where they are not stated.
  Result<Purpose> purpose_in(const Visit& visit, const FormData& form) const;
  static std::string with_purpose(std::string address, const Purpose& purpose);
  /// The page that asks for a purpose, where an address lacks it.
  HttpResponse ask_purpose(const Visit& visit);
  Status note(const Visit& visit, std::string_view kind, std::string subject, std::string detail,
              const Purpose& purpose);

  // Overview (overview.cpp)

  HttpResponse overview(Visit& visit);

  // Find (find_pages.cpp)

  void write_find_form(Html& html, const Visit& visit, const FormData& given, std::string_view error);
  HttpResponse answer_find(Visit& visit, std::string_view name, bool reads);
  Result<HttpResponse> find(Visit& visit, const FormData& form, const Purpose& purpose);
  /// By the registry's number, the chip's serial, or the status index.
  Result<Card> find_card(std::string_view text, const Purpose& purpose);

  // A citizen (citizen_record.cpp)

  void write_cards(Html& html, const Visit& visit, const std::vector<Card>& cards, const Purpose& purpose);
  HttpResponse answer_citizen(Visit& visit, std::string_view name, bool reads);
  Result<HttpResponse> show_citizen(Visit& visit, CitizenId id, const Purpose& purpose);

  // A card (card_pages.cpp)

  HttpResponse answer_card(Visit& visit, std::string_view name, bool reads);
  /// True where the step is lawful, and a card past its end may still take it.
  bool offers(const Card& card, CardState to) const;
  std::vector<CardState> steps_from(const Card& card) const;
  /// What the card is by the clock; beside it the registry's state, where that is another.
  void write_state(Html& html, const Visit& visit, const Card& card) const;
  void write_steps(Html& html, const Visit& visit, const Card& card, const Purpose& purpose);
  Result<HttpResponse> show_card(Visit& visit, CardId id, const Purpose& purpose, bool done);
  void write_certificates(Html& html, const Visit& visit, const std::vector<CardCertificate>& certificates);
  Status write_life(Html& html, const Visit& visit, const Card& card);

  // A card's next step (card_steps.cpp)

  /// The page before a step: what will happen, why it is done, and the button.
  Result<HttpResponse> confirm_step(Visit& visit, CardId id, const Purpose& purpose, const FormData& form,
                                    std::string_view error);
  Result<HttpResponse> take_step(Visit& visit, CardId id, const Purpose& purpose, const FormData& form);
  /// What was begun with a card ends with it: no server takes it from now on anyway, but portals are to be told.
  void end_log_ins(const Card& card);

  // Terminals (terminal_pages.cpp)

  void write_until(Html& html, const Visit& visit, const std::optional<Time>& until);
  void write_state(Html& html, const Visit& visit, TerminalState state);
  HttpResponse answer_terminals(Visit& visit, std::string_view name, bool reads);
  Result<HttpResponse> list_terminals(Visit& visit);
  Result<HttpResponse> show_terminal(Visit& visit, std::string_view name);
  Result<HttpResponse> revoke_terminal(Visit& visit, std::string_view name, bool reads);

  // Numbers (number_pages.cpp)

  Result<ChartSeries> series(std::string_view name, const Words& label, const Visit& visit, std::int64_t from,
                             std::int64_t to);
  HttpResponse answer_numbers(Visit& visit, std::string_view name, bool reads);
  Result<HttpResponse> show_numbers(Visit& visit);
  Status write_terminal_counts(Html& html, const Visit& visit);

  // Requests between departments (request_pages.cpp)

  HttpResponse answer_requests(Visit& visit, std::string_view name, bool reads);
  void write_request_filter(Html& html, const Visit& visit, const DepartmentNames& departments,
                            std::string_view department, std::string_view standing);
  void write_request_state(Html& html, const Visit& visit, const RequestState& one) const;
  Result<HttpResponse> list_requests(Visit& visit, const FormData& query);
  /// A link for whoever may find people; others are not told.
  void write_about_whom(Html& html, const Visit& visit, CitizenId citizen, const Purpose& purpose);
  Result<HttpResponse> show_request(Visit& visit, std::string_view id, const Purpose& purpose);

  // What operators did (act_pages.cpp)

  HttpResponse answer_acts(Visit& visit, std::string_view name, bool reads);

  const ConsoleConfig config_;
  const RoomSurroundings around_;
  const Clock& clock_;
  Registry& registry_;
  const ConsoleOptions options_;
  Sessions sessions_;
  DepartmentLedger departments_;
  RequestLedger requests_;
  OperatorActs acts_;
  TerminalLedger terminals_;
  service::Counter steps_, looks_, refused_;
};

}  // namespace karta::identity
