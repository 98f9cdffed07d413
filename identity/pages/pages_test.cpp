#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "identity/pages/cookie.h"
#include "identity/pages/page.h"

namespace karta::identity {
namespace {

using service::HttpMethod;
using service::HttpRequest;
using testing::HasSubstr;
using testing::Not;

std::string body_of(const service::HttpResponse& response) { return std::string(as_text(response.content())); }

TEST(Html, EscapesTextAndValuesOfAttributes) {
  Html html;
  html.open("p", {{"title", "a\"b'<&>"}}).text("<script>&'\"\x01").close();
  EXPECT_EQ(std::move(html).take(), "<p title=\"a&quot;b&#39;&lt;&amp;&gt;\">&lt;script&gt;&amp;&#39;&quot;</p>");
}

TEST(Html, WritesNoAddressThatRunsAScript) {
  Html html;
  html.element("a", "x", {{"href", "javascript:alert(1)"}});
  html.element("a", "x", {{"href", " javascript:alert(1)"}});
  html.element("a", "x", {{"href", "data:text/html,x"}});
  html.element("a", "x", {{"href", "/me?a=1&b=2"}});
  EXPECT_EQ(std::move(html).take(),
            "<a href=\"#\">x</a><a href=\"#\">x</a><a href=\"#\">x</a><a href=\"/me?a=1&amp;b=2\">x</a>");
}

TEST(Html, BareAttributesStandOrDoNot) {
  Html html;
  html.leaf("input", {{"required", true}, {"autofocus", false}, {"name", "n"}});
  EXPECT_EQ(std::move(html).take(), "<input required name=\"n\">");
}

TEST(HtmlDeathTest, AnOpenElementIsAFaultOfTheProgram) {
  EXPECT_DEATH(
      {
        std::signal(SIGABRT, SIG_DFL);  // meant to happen: no sanitizer reports it
        Html html;
        html.open("p");
        std::move(html).take();
      },
      "");
}

TEST(Pages, ATitleSaysNothingTwice) {
  PageFrame page;
  page.title = "Log in";
  EXPECT_THAT(body_of(page_response(200, page, Html())), HasSubstr("<title>Log in</title>"));
  page.area = "Log in";
  EXPECT_THAT(body_of(page_response(200, page, Html())), HasSubstr("<title>Log in</title>"));
  page.area = "Your page";
  EXPECT_THAT(body_of(page_response(200, page, Html())), HasSubstr("<title>Log in · Your page</title>"));
}

TEST(Cookies, AreFoundByTheirWholeName) {
  HttpRequest request;
  request.fields = {{"Cookie", "a=1; __Host-karta=two; __Host-karta-session=three "}};
  EXPECT_EQ(cookie_of(request, "__Host-karta"), "two");
  EXPECT_EQ(cookie_of(request, "__Host-karta-session"), "three");
  EXPECT_EQ(cookie_of(request, "Host-karta"), "");
}

TEST(Cookies, OfTwoWithOneNameNoneIsTaken) {
  HttpRequest request;
  request.fields = {{"Cookie", "c=1; c=2"}};
  EXPECT_EQ(cookie_of(request, "c"), "");
  request.fields = {{"Cookie", "c=1"}, {"Cookie", "c=2"}};
  EXPECT_EQ(cookie_of(request, "c"), "");
}

TEST(Cookies, AreForThisHostAloneAndOutOfScriptsReach) {
  EXPECT_EQ(set_cookie("__Host-x", "v", std::chrono::seconds(60)),
            "Set-Cookie: __Host-x=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60\r\n");
  EXPECT_EQ(set_cookie("__Host-x", "v"), "Set-Cookie: __Host-x=v; Path=/; Secure; HttpOnly; SameSite=Lax\r\n");
  EXPECT_THAT(drop_cookie("__Host-x"), HasSubstr("Max-Age=0"));
}

TEST(FormData, ReadsWhatBrowsersSend) {
  const auto form = FormData::parse("a=1+2&b=%D0%BF&empty=&bare&%63=d");
  ASSERT_TRUE(form);
  EXPECT_EQ(form->value("a"), "1 2");
  EXPECT_EQ(form->value("b"), "п");
  EXPECT_TRUE(form->has("empty"));
  EXPECT_TRUE(form->has("bare"));
  EXPECT_EQ(form->value("c"), "d");
  EXPECT_FALSE(form->has("d"));
}

TEST(FormData, RefusesWhatIsAmbiguousOrNoText) {
  for (const std::string_view text : {"a=1&a=2", "a=%", "a=%zz", "a=%00", "a=%FF", "%FF=a"}) {
    EXPECT_FALSE(FormData::parse(text)) << text;
  }
  std::string many;
  for (std::size_t i = 0; i <= FormData::kMostFields; ++i) many += "f" + std::to_string(i) + "=&";
  const auto too_many = FormData::parse(many);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().kind, ErrorKind::limit);
  EXPECT_FALSE(FormData::parse(std::string(FormData::kMostOctets + 1, 'a')));
}

TEST(FormData, OfABodyWantsTheMediaTypeOfForms) {
  HttpRequest request;
  const std::string body = "a=1";
  request.body = as_bytes(body);
  request.fields = {{"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"}};
  EXPECT_TRUE(FormData::of_body(request));
  request.fields = {{"Content-Type", "text/plain"}};
  EXPECT_FALSE(FormData::of_body(request));
}

TEST(Origins, OnlyTheOwnPageMayPost) {
  const auto with = [](std::vector<service::HttpField> fields) {
    HttpRequest request;
    request.fields = std::move(fields);
    return comes_from_own_page(request, "https://id.example");
  };
  EXPECT_TRUE(with({{"Origin", "https://id.example"}}));
  EXPECT_TRUE(with({{"Origin", "https://id.example"}, {"Sec-Fetch-Site", "same-origin"}}));
  EXPECT_FALSE(with({}));
  EXPECT_FALSE(with({{"Origin", "null"}}));
  EXPECT_FALSE(with({{"Origin", "https://evil.example"}}));
  EXPECT_FALSE(with({{"Origin", "https://id.example"}, {"Sec-Fetch-Site", "cross-site"}}));
  EXPECT_FALSE(with({{"Origin", "https://id.example.evil.example"}, {"Sec-Fetch-Site", "same-origin"}}));
  EXPECT_FALSE(with({{"Origin", "https://id.example"}, {"Origin", "https://evil.example"}}));
}

TEST(Origins, PathsThatLeadOnStayHere) {
  EXPECT_TRUE(is_own_path("/"));
  EXPECT_TRUE(is_own_path("/me/cards?page=2"));
  for (const std::string_view path :
       {"", "me", "//evil.example", "/\\evil.example", "https://evil.example/", "/a b", "/a\r\nX: y", "/\x7f"}) {
    EXPECT_FALSE(is_own_path(path)) << path;
  }
}

TEST(Origins, AreTheBeginningOfAnAddress) {
  EXPECT_EQ(origin_of("https://id.example:8443/x?y"), "https://id.example:8443");
  EXPECT_EQ(origin_of("http://127.0.0.1:1"), "http://127.0.0.1:1");
  EXPECT_EQ(origin_of("https://a@b/"), "");
  EXPECT_EQ(origin_of("ftp://a/"), "");
  EXPECT_EQ(origin_of("https://a; script-src *"), "");
}

TEST(Languages, ChosenThenAskedThenTheBrowsers) {
  HttpRequest request;
  request.fields = {{"Accept-Language", "de-DE,ru-RU;q=0.8,en;q=0.5"}};
  EXPECT_EQ(language_of(request), Language::russian);
  EXPECT_EQ(language_of(request, "de en"), Language::english);
  request.fields.push_back({"Cookie", "__Host-karta-language=ru"});
  EXPECT_EQ(language_of(request, "en"), Language::russian);
  EXPECT_EQ(language_of(HttpRequest{}), Language::english);
}

TEST(Languages, DatesAndSpans) {
  const Time at = *parse_time("2026-11-02T07:05:09Z");
  EXPECT_EQ(show_time(Language::english, at), "2 Nov 2026, 07:05 UTC");
  EXPECT_EQ(show_time(Language::russian, at), "02.11.2026 07:05 UTC");
  EXPECT_EQ(show_span(Language::english, std::chrono::minutes(60)), "1 hour");
  EXPECT_EQ(show_span(Language::english, std::chrono::seconds(1)), "1 minute");
  EXPECT_EQ(show_span(Language::russian, std::chrono::minutes(30)), "30 мин");
  EXPECT_EQ(show_span(Language::english, std::chrono::hours(24 * 180)), "180 days");
}

TEST(Pages, AllowNothingFromElsewhere) {
  Html content;
  content.paragraph("<b>");
  PageFrame frame;
  frame.title = "A & B";
  frame.form_targets = {"https://portal.example/callback?x=;script-src", "javascript:x"};
  const auto response = page_response(200, frame, content);
  EXPECT_THAT(response.fields, HasSubstr("default-src 'none'"));
  EXPECT_THAT(response.fields, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(response.fields, HasSubstr("form-action 'self' https://portal.example\r\n"));
  EXPECT_THAT(response.fields, HasSubstr("Cache-Control: no-store"));
  EXPECT_THAT(response.fields, Not(HasSubstr("unsafe")));
  EXPECT_THAT(response.fields, Not(HasSubstr("Retry-After")));
  EXPECT_THAT(page_response(503, frame, content).fields, HasSubstr("Retry-After: 5\r\n"));
  EXPECT_THAT(body_of(response), HasSubstr("<h1>A &amp; B</h1><p>&lt;b&gt;</p>"));
  EXPECT_THAT(body_of(response), Not(HasSubstr("style=")));
}

TEST(Pages, SpeakTheirLanguageAndOfferTheOther) {
  PageFrame frame;
  frame.language = Language::russian;
  frame.title = "Вход";
  frame.come_back = "/login?interaction=a&b=c";
  const std::string page = body_of(page_response(200, frame, Html()));
  EXPECT_THAT(page, HasSubstr("<html lang=\"ru\">"));
  EXPECT_THAT(page, HasSubstr("/assets/language?to=en&amp;back=%2Flogin%3Finteraction%3Da%26b%3Dc"));
}

TEST(Pages, ARedirectIsOneField) {
  const auto response = see_other("/a\r\nSet-Cookie: x=y");
  EXPECT_THAT(response.fields, HasSubstr("Location: /\r\n"));
  EXPECT_THAT(response.fields, Not(HasSubstr("Set-Cookie")));
}

TEST(Forms, TokenIsTheCookiesOwn) {
  const std::string token = csrf_of("secret");
  const auto form = FormData::parse("csrf=" + token);
  EXPECT_TRUE(has_csrf(*form, token));
  EXPECT_FALSE(has_csrf(*form, csrf_of("other")));
  EXPECT_FALSE(has_csrf(*FormData::parse("csrf="), ""));
  EXPECT_FALSE(has_csrf(*FormData::parse("a=b"), token));
}

TEST(Assets, AreServedWithTheirVersionAndKept) {
  HttpRequest request;
  request.method = HttpMethod::get;
  request.path = "/assets/pages.css";
  const auto first = asset_response(request);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->media_type, "text/css; charset=utf-8");
  EXPECT_THAT(first->fields, HasSubstr("no-cache"));
  const auto start = first->fields.find('"');
  const std::string etag = first->fields.substr(start, first->fields.find('"', start + 1) - start + 1);
  request.fields = {{"If-None-Match", etag}};
  EXPECT_EQ(asset_response(request)->status, 304);
  request.fields = {};
  const std::string query = "v=" + etag.substr(1, etag.size() - 2);
  request.query = query;
  EXPECT_THAT(asset_response(request)->fields, HasSubstr("immutable"));
  request.path = "/assets/../identity.toml";
  EXPECT_FALSE(asset_response(request));
  request.path = "/assets/pages.css";
  request.method = HttpMethod::post;
  EXPECT_EQ(asset_response(request)->status, 405);
}

TEST(Assets, TheChoiceOfLanguageLeadsBackHere) {
  HttpRequest request;
  request.method = HttpMethod::get;
  request.path = "/assets/language";
  request.query = "to=ru&back=%2Fme%2Fcards";
  const auto there = asset_response(request);
  EXPECT_THAT(there->fields, HasSubstr("Location: /me/cards\r\n"));
  EXPECT_THAT(there->fields, HasSubstr("__Host-karta-language=ru"));
  request.query = "to=ru&back=%2F%2Fevil.example";
  EXPECT_THAT(asset_response(request)->fields, HasSubstr("Location: /me\r\n"));
}

}  // namespace
}  // namespace karta::identity
