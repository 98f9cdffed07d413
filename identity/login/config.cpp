#include "identity/login/config.h"

#include "identity/pages/form.h"

namespace karta::identity {
namespace {

using service::ConfigTable;

/// "https://id.example", and nothing after it.
bool is_origin(std::string_view text) { return !text.empty() && origin_of(text) == text; }

Result<AgentConfig> read_agent(ConfigTable& table) {
  AgentConfig out;
  out.key = TRY(read_key_config(table));
  out.address = TRY(table.text_or("address", out.address));
  if (!is_origin(out.address))
    return table.bad("address", "must be an address without a path: \"http://127.0.0.1:8471\"");
  // Agents take no request that lives longer.
  out.request_life = std::chrono::seconds(TRY(table.integer_or("request_seconds", 30, 300, out.request_life.count())));
  return out;
}

Result<MessageConfig> read_message(ConfigTable& table) {
  MessageConfig out;
  out.server = TRY(table.text_or("server", ""));
  if (const auto folder = TRY(table.path_if("folder"))) out.folder = *folder;
  if (out.server.empty() == out.folder.empty()) return table.bad("server", "needs one of \"server\" and \"folder\"");
  out.from = TRY(table.text("from"));
  if (out.from.find_first_of(" \t\r\n<>\"") != std::string::npos || out.from.find('@') == std::string::npos) {
    return table.bad("from", "must be a mail address: \"karta@id.example\"");
  }
  if (out.server.empty()) return out;
  if (!out.server.starts_with("smtp://") && !out.server.starts_with("smtps://")) {
    return table.bad("server", "must begin with smtp:// or smtps://");
  }
  out.user = TRY(table.text_or("user", ""));
  if (const auto file = TRY(table.path_if("password_file"))) out.password_file = *file;
  if (out.user.empty() != out.password_file.empty()) {
    return table.bad("user", "goes together with \"password_file\"");
  }
  if (const auto roots = TRY(table.path_if("roots"))) out.roots = *roots;
  out.plain = TRY(table.boolean_or("plain", false));
  if (out.plain && !out.user.empty()) return table.bad("plain", "must not be: a password goes out with TLS only");
  return out;
}

}  // namespace

Result<LoginConfig> read_login(ConfigTable& table, std::string_view issuer, std::string_view mtls_address) {
  LoginConfig out;
  out.address = TRY(table.text_or("address", issuer));
  if (!is_origin(out.address) || !out.address.starts_with("https://")) {
    return table.bad("address", "must be an https address without a path: \"https://id.example\"");
  }
  out.secret_file = TRY(table.path("secret_file"));
  const bool knows_cards = table.has("card_roots");
  out.certificate_address = TRY(table.text_or("certificate_address", knows_cards ? mtls_address : ""));
  if (!out.certificate_address.empty() && !is_origin(out.certificate_address)) {
    return table.bad("certificate_address", "must be an https address without a path");
  }
  out.card_roots = TRY(table.paths("card_roots"));
  out.card_authorities = TRY(table.paths("card_authorities"));
  out.sessions.idle = std::chrono::minutes(TRY(table.integer_or("idle_minutes", 1, 24 * 60, 30)));
  out.sessions.life = std::chrono::hours(TRY(table.integer_or("session_hours", 1, 24 * 30, 12)));
  if (out.sessions.idle > out.sessions.life) {
    return table.bad("idle_minutes", "must not be longer than \"session_hours\"");
  }
  if (auto agent = TRY(table.table("agent"))) out.agent = TRY(read_agent(*agent));
  if (auto codes = TRY(table.table("codes"))) {
    out.codes = true;
    out.code_life = std::chrono::seconds(TRY(codes->integer_or("seconds", 60, 3600, out.code_life.count())));
    if (auto message = TRY(codes->table("message"))) out.message = TRY(read_message(*message));
  }
  if ((out.agent || !out.certificate_address.empty()) && out.card_roots.empty()) {
    return table.bad("card_roots", "is missing: who issues citizens' certificates");
  }
  if (!out.agent && out.certificate_address.empty() && !out.codes) {
    return table.bad("agent", "is missing, and so are \"certificate_address\" and [login.codes]: there is no way in");
  }
  return out;
}

}  // namespace karta::identity
