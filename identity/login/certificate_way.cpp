#include "identity/login/login_pages.h"

#include "base/base64url.h"
#include "identity/login/words.h"

namespace karta::identity {

using service::HttpResponse;

namespace {

constexpr std::chrono::seconds kHandOver{60};  // of a certificate shown, to the pages

}  // namespace

HttpResponse LoginPages::show_certificate(Visit here) {
  const auto query = FormData::of_query(here.request);
  const auto shown = query ? tickets_.read_for_certificate(query->value("ticket")) : std::nullopt;
  if (!shown) return over_page(here, true);
  const std::string& ticket = *shown;
  const auto back_to_pages = [&](const Words& title, const Words& text) {
    certificate_refused_.add();
    Html html;
    notice(html, NoticeKind::bad, title.in(here.language), text.in(here.language));
    link_button(html, ButtonKind::main, words::kOtherWays.in(here.language),
                config_.address + with_query("/login", {{"ticket", ticket}}));
    return page_response(403, frame(here, words::kRefused.in(here.language)), html);
  };
  // Whatever was shown: TLS has proved its key, and everything else is judged here, so that the page can say why not.
  if (here.request.shown_certificate.empty()) return back_to_pages(words::kNoCertificate, words::kNoCertificateText);
  const auto verdict = judge_certificate(*keys_->authorities, around_, here.request.shown_certificate);
  if (!verdict) return unavailable(here, verdict.error());
  if (verdict->refusal) {
    note_refusal(*verdict);
    const CardRefusalRow& row = row_of(*verdict->refusal);
    return back_to_pages(row.title, row.text);
  }
  CertificateErrand errand;
  errand.ticket = ticket;
  errand.proof = verdict->proof;
  errand.nonce = to_base64url(around_.random.bytes(kNonceOctets));
  errand.expires = around_.clock.now() + kHandOver;
  return see_other(config_.address + with_query("/login/certified", {{"state", tickets_.write_certificate(errand)}}));
}

HttpResponse LoginPages::take_certificate(Visit here) {
  const auto query = FormData::of_query(here.request);
  const auto shown = query ? tickets_.read_certificate(query->value("state")) : std::nullopt;
  if (!shown || around_.clock.now() >= shown->expires) return over_page(here, true);
  Found found = find(here, shown->ticket);
  if (found.page) return *found.page;
  SessionProof proof = shown->proof;
  proof.acr = "substantial";
  proof.amr = {"hwk", "pin"};
  return log_in(here, found, proof, using_up(shown->nonce, shown->expires), words::kUsedAlready, by_certificate_);
}

}  // namespace karta::identity
