#include "daemon/pages/desk_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "base/file.h"
#include "daemon/decision.h"
#include "daemon/pages/assets.h"

namespace karta::daemon {
namespace {

namespace fs = std::filesystem;
using service::HttpField;
using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;
using testing::HasSubstr;
using testing::Not;

class DeskPagesTest : public testing::Test {
 protected:
  DeskPagesTest() {
    std::string name = (fs::temp_directory_path() / "karta-pages-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    auto made = DeskPages::create(
        {.name = "front-desk",
         .verbs = {"visit"},
         .modes = {"clinic", "transit"},
         .session = {.file = folder_ / "sessions", .link_file = folder_ / "link", .address = "http://127.0.0.1:8470"}},
        clock_, random_);
    EXPECT_TRUE(made) << made.error().message;
    if (made) pages_ = std::move(*made);
  }
  ~DeskPagesTest() override { fs::remove_all(folder_); }

  std::optional<HttpResponse> ask(HttpMethod method, std::string_view path, std::vector<HttpField> fields = {},
                                  std::string_view body = {}) {
    fields.push_back({"Host", "127.0.0.1:8470"});
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.fields = std::move(fields);
    request.body = as_bytes(body);
    return pages_->serve(request);
  }
  std::string get(std::string_view path, std::string_view language = "en") {
    const auto response = ask(HttpMethod::get, path, {{"Accept-Language", language}});
    return response ? std::string(as_text(response->content())) : "";
  }
  std::string code() const {
    const auto content = read_file(folder_ / "link", 1000);
    const std::string text(content ? as_text(*content) : "");
    return text.substr(text.find('#') + 1, 64);
  }
  std::optional<HttpResponse> log_in(const std::string& with) {
    return ask(HttpMethod::post, "/login", {{"Content-Type", "application/json"}}, R"({"code":")" + with + R"("})");
  }
  std::shared_ptr<const Caller> who(std::string_view cookie, std::string_view key,
                                    std::string_view host = "127.0.0.1:8470") {
    HttpRequest request;
    request.path = "/v1/status";
    request.fields = {{"Host", host}, {"Cookie", cookie}, {"Karta-Desk", key}};
    return pages_->session(request);
  }

  fs::path folder_;
  FixedClock clock_{Time(std::chrono::seconds(1'780'000'000))};
  SeededRandom random_{7};
  std::unique_ptr<DeskPages> pages_;
};

TEST_F(DeskPagesTest, APageForEachModeAtWorkAndForNoOther) {
  for (const char* const path : {"/", "/login", "/clinic", "/transit"}) {
    const auto response = ask(HttpMethod::get, path);
    ASSERT_TRUE(response) << path;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->media_type, "text/html; charset=utf-8");
  }
  for (const char* const path : {"/pharmacy", "/counter", "/clinic/", "/shell.html", "/assets/shell.html", "/assets/",
                                 "/assets/../desk.css", "/clinic en", "/v1/status", ""}) {
    EXPECT_FALSE(ask(HttpMethod::get, path)) << path;
  }
  EXPECT_THAT(get("/clinic"), HasSubstr(R"(data-mode="clinic" data-modes="clinic transit")"));
}

TEST_F(DeskPagesTest, EveryPageIsInTheReadersLanguage) {
  EXPECT_THAT(get("/clinic", "ru-RU,ru;q=0.9,en;q=0.5"), HasSubstr("<title>Клиника · karta</title>"));
  EXPECT_THAT(get("/clinic", "ru-RU,ru;q=0.9,en;q=0.5"), HasSubstr(R"(<html lang="ru")"));
  EXPECT_THAT(get("/clinic", "de-DE, en-GB"), HasSubstr("<title>Clinic · karta</title>"));
  EXPECT_THAT(get("/clinic", "RU"), HasSubstr(R"(lang="ru")"));
  EXPECT_THAT(get("/clinic", ""), HasSubstr(R"(lang="en")"));
  EXPECT_THAT(get("/clinic", ",,;,"), HasSubstr(R"(lang="en")"));
  const auto response = ask(HttpMethod::get, "/clinic", {{"Accept-Language", "ru"}});
  ASSERT_TRUE(response);
  EXPECT_THAT(response->fields, HasSubstr("Vary: Accept-Language\r\n"));
  EXPECT_THAT(response->fields, HasSubstr("Content-Language: ru\r\n"));
}

TEST_F(DeskPagesTest, NothingInAPageIsLeftToFillInOrComesFromElsewhere) {
  for (const char* const path : {"/", "/login", "/clinic", "/transit"}) {
    const std::string html = get(path);
    EXPECT_THAT(html, Not(HasSubstr("{{"))) << path;
    EXPECT_THAT(html, Not(HasSubstr("http"))) << path;
    EXPECT_FALSE(std::regex_search(html, std::regex("<script(?![^>]* src=)"))) << "inline script in " << path;
    EXPECT_FALSE(std::regex_search(html, std::regex("<style| style=| on[a-z]+=")))
        << "inline style or handler in " << path;
    // What it names is there.
    const std::regex reference(R"re((?:href|src)="(/assets/[^"]+)")re");
    std::size_t count = 0;
    for (std::sregex_iterator at(html.begin(), html.end(), reference), end; at != end; ++at, ++count) {
      EXPECT_TRUE(ask(HttpMethod::get, (*at)[1].str())) << (*at)[1].str();
    }
    EXPECT_EQ(count, 3u) << path;
  }
}

TEST_F(DeskPagesTest, EveryModuleThatIsImportedIsThereAndLoadsNothingFromElsewhere) {
  std::size_t imports = 0;
  for (const Asset& asset : assets()) {
    if (!asset.name.ends_with(".mjs")) continue;
    const std::string text(asset.content);
    const std::regex from(R"re(from '\./([a-z]+\.mjs)')re");
    for (std::sregex_iterator at(text.begin(), text.end(), from), end; at != end; ++at, ++imports) {
      EXPECT_TRUE(ask(HttpMethod::get, "/assets/" + (*at)[1].str())) << asset.name << " imports " << (*at)[1].str();
    }
    for (const char* const danger :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "https://"}) {
      EXPECT_THAT(text, Not(HasSubstr(danger))) << asset.name;
    }
  }
  EXPECT_GT(imports, 10u);
}

// Problems of the API say why a card is refused in English; the pages know the same in Russian.
TEST_F(DeskPagesTest, ReasonsForRefusalAreKnownInBothLanguages) {
  std::string words = get("/assets/words.mjs");
  words = std::regex_replace(words, std::regex(R"(\\')"), "'");
  std::size_t refusals = 0;
  for (const ReasonRow& row : reason_rows()) {
    if (row.trust != Trust::refused) continue;
    ++refusals;
    EXPECT_THAT(words, HasSubstr("['" + std::string(row.english) + "', '" + std::string(row.russian) + "']"));
  }
  EXPECT_GE(refusals, 7u);
}

TEST_F(DeskPagesTest, ThePolicyForbidsAllThatIsNotThePagesOwn) {
  for (const char* const path : {"/clinic", "/assets/desk.css", "/assets/clinic.mjs"}) {
    const auto response = ask(HttpMethod::get, path);
    ASSERT_TRUE(response) << path;
    EXPECT_THAT(response->fields, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self';"));
    EXPECT_THAT(response->fields, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(response->fields, Not(HasSubstr("unsafe")));
    EXPECT_THAT(response->fields, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
    EXPECT_THAT(response->fields, Not(HasSubstr("Access-Control")));
  }
}

TEST_F(DeskPagesTest, WhatTheBrowserHasIsNotSentAgain) {
  const auto first = ask(HttpMethod::get, "/assets/desk.css");
  ASSERT_TRUE(first);
  const auto at = first->fields.find("ETag: ");
  ASSERT_NE(at, std::string::npos);
  const std::string etag = first->fields.substr(at + 6, first->fields.find("\r\n", at) - at - 6);
  const auto second = ask(HttpMethod::get, "/assets/desk.css", {{"If-None-Match", etag}});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 304);
  EXPECT_TRUE(second->content().empty());
  const auto other = ask(HttpMethod::get, "/assets/desk.css", {{"If-None-Match", "\"old\""}});
  ASSERT_TRUE(other);
  EXPECT_EQ(other->status, 200);
}

TEST_F(DeskPagesTest, OtherMethodsAreRefused) {
  const auto page = ask(HttpMethod::post, "/clinic");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 405);
  EXPECT_THAT(page->fields, HasSubstr("Allow: GET, HEAD\r\n"));
  const auto out = ask(HttpMethod::get, "/logout");
  ASSERT_TRUE(out);
  EXPECT_EQ(out->status, 405);
  EXPECT_THAT(out->fields, HasSubstr("Allow: POST\r\n"));
}

TEST_F(DeskPagesTest, ALinkBecomesTheDesksSession) {
  const auto response = log_in(code());
  ASSERT_TRUE(response);
  ASSERT_EQ(response->status, 200) << as_text(response->content());
  std::smatch found;
  ASSERT_TRUE(std::regex_search(
      response->fields, found,
      std::regex("Set-Cookie: karta-desk-8470=([0-9a-f]{64}); Path=/; HttpOnly; SameSite=Strict\r\n")))
      << response->fields;
  EXPECT_THAT(response->fields, HasSubstr("Cache-Control: no-store\r\n"));
  const std::string cookie = found[1];
  const auto answer = nlohmann::json::parse(response->content().begin(), response->content().end());
  EXPECT_EQ(answer["schema"], "karta.kartad.desk-session/1");
  const std::string key = answer["key"];

  const auto caller = who("theme=dark; karta-desk-8470=" + cookie + "; other=1", key);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->name, "front-desk");
  EXPECT_EQ(caller->verbs, std::vector<std::string>{"visit"});
  EXPECT_FALSE(who("karta-desk-8470=" + cookie, ""));
  EXPECT_FALSE(who("", key));
  EXPECT_FALSE(who("xkarta-desk-8470=" + cookie, key));
  EXPECT_FALSE(who("karta-desk-8470=" + cookie, key, "127.0.0.1:8471")) << "another daemon's port";

  HttpRequest request;
  const std::string jar = "karta-desk-8470=" + cookie;
  const auto out = ask(HttpMethod::post, "/logout", {{"Cookie", jar}, {"Karta-Desk", key}});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->status, 204);
  EXPECT_THAT(out->fields, HasSubstr("Set-Cookie: karta-desk-8470=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"));
  EXPECT_FALSE(who(jar, key));
}

TEST_F(DeskPagesTest, ALogInDuringAReloadIsOne) {
  const std::string early = code();
  auto made = DeskPages::create(
      {.name = "front-desk",
       .verbs = {"visit"},
       .modes = {"clinic"},
       .session = {.file = folder_ / "sessions", .link_file = folder_ / "link", .address = "http://127.0.0.1:8470"}},
      clock_, random_, pages_.get());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(code(), early) << "the link somebody is just opening";
  // The pages of before answer until the new ones take over.
  const auto response = log_in(early);
  ASSERT_TRUE(response);
  ASSERT_EQ(response->status, 200);
  std::smatch found;
  ASSERT_TRUE(std::regex_search(response->fields, found, std::regex("karta-desk-8470=([0-9a-f]{64})")));
  const std::string jar = "karta-desk-8470=" + found[1].str();
  const std::string key = nlohmann::json::parse(as_text(response->content()))["key"];
  pages_ = std::move(*made);
  EXPECT_TRUE(who(jar, key));
  EXPECT_EQ(log_in(code())->status, 200);

  // A reload that moves the link: the old one is no link any more.
  const std::string old = code();
  auto moved = DeskPages::create(
      {.name = "front-desk",
       .verbs = {"visit"},
       .modes = {"clinic"},
       .session = {.file = folder_ / "sessions", .link_file = folder_ / "other", .address = "http://127.0.0.1:8470"}},
      clock_, random_, pages_.get());
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_FALSE(fs::exists(folder_ / "link"));
  EXPECT_TRUE(fs::exists(folder_ / "other"));
  pages_ = std::move(*moved);
  EXPECT_EQ(log_in(old)->status, 403);
  EXPECT_TRUE(who(jar, key));

  // One that cannot write its link leaves all as it was.
  const auto failed = DeskPages::create(
      {.session = {.file = folder_ / "sessions", .link_file = folder_ / "no/link", .address = "http://127.0.0.1:8470"}},
      clock_, random_, pages_.get());
  EXPECT_FALSE(failed);
  EXPECT_TRUE(fs::exists(folder_ / "other"));
  EXPECT_TRUE(who(jar, key));
}

TEST_F(DeskPagesTest, WhatIsNoLogInGivesNothing) {
  const std::string good = code();
  const auto status = [&](std::vector<HttpField> fields, std::string_view body) {
    const auto response = ask(HttpMethod::post, "/login", std::move(fields), body);
    if (!response) return 0;
    EXPECT_THAT(response->fields, Not(HasSubstr("Set-Cookie")));
    EXPECT_EQ(response->media_type, "application/problem+json");
    return response->status;
  };
  const HttpField json{"Content-Type", "application/json"};
  EXPECT_EQ(status({json}, R"({"code":"0000"})"), 403);
  EXPECT_EQ(status({json}, R"({"code":""})"), 403);
  EXPECT_EQ(status({json}, R"({"code":17})"), 400);
  EXPECT_EQ(status({json}, R"({})"), 400);
  EXPECT_EQ(status({json}, "["), 400);
  EXPECT_EQ(status({json}, ""), 400);
  // A form of another site cannot send JSON without asking first.
  EXPECT_EQ(status({{"Content-Type", "text/plain"}}, R"({"code":")" + good + R"("})"), 415);
  EXPECT_EQ(code(), good) << "none of these used the link up";
}

}  // namespace
}  // namespace karta::daemon
