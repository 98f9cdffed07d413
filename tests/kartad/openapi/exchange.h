// Exchange: requests to a running daemon as octets, each answer held against the OpenAPI document.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "service/test_socket.h"
#include "tests/kartad/daemon_fixture.h"
#include "tests/kartad/openapi/document.h"

namespace karta::test {

/// A document of docs/openapi.
inline OpenApi read_document(const std::string& name) {
  std::ifstream file(std::string(KARTA_SOURCE_DIR) + "/docs/openapi/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return OpenApi(read_yaml(text.str()));
}

struct Reply {
  int status = 0;                             ///< 0: none came
  std::map<std::string, std::string> fields;  ///< names in small letters
  std::string body;
  std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

inline Reply parse_reply(const std::string& text) {
  Reply out;
  const std::size_t head = text.find("\r\n\r\n");
  if (head == std::string::npos || !text.starts_with("HTTP/1.1 ")) return out;
  out.status = std::stoi(text.substr(9, 3));
  out.body = text.substr(head + 4);
  std::size_t at = text.find("\r\n") + 2;
  while (at < head + 2) {
    const std::size_t end = text.find("\r\n", at), colon = text.find(':', at);
    std::string name = text.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    out.fields[name] = text.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  return out;
}

/// A request as it goes out.
struct Request {
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> fields = {};  ///< without a value: left out
  std::string body = {};
  bool has_body = false;

  void set(const std::string& name, const std::string& value) {
    std::erase_if(fields, [&](const auto& one) { return one.first == name; });
    fields.push_back({name, value});
  }
  std::string text(const std::string& host) const {
    std::string out = method + " " + target + " HTTP/1.1\r\n";
    const auto given = [&](const char* name) {
      return std::any_of(fields.begin(), fields.end(), [&](const auto& one) { return one.first == name; });
    };
    if (!given("Host")) out += "Host: " + host + "\r\n";
    for (const auto& [name, value] : fields) {
      if (!value.empty()) out += name + ": " + value + "\r\n";
    }
    if (has_body && !given("Content-Length")) out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return out + "Connection: close\r\n\r\n" + body;
  }
};

inline std::string bearer(std::string_view token) { return "Bearer " + std::string(token); }

class Exchange {
 public:
  explicit Exchange(const std::string& document) : api(read_document(document)) {}

  /// Sends, and holds the answer against the document.
  Reply ask(const Request& request) {
    service::TestSocket socket(where);
    EXPECT_TRUE(socket.connected());
    socket.send(request.text(where));
    const Reply reply = parse_reply(socket.response(60));
    hold(request, reply);
    return reply;
  }
  void hold(const Request& request, const Reply& reply) {
    EXPECT_NE(reply.status, 0) << request.method << " " << request.target << ": no answer";
    const OpenApi::Operation* const operation = api.find(request.method, request.target);
    if (operation == nullptr) {
      // Those who may not ask are not told what there is.
      const bool right = reply.status == 404 || reply.status == 405 || reply.status == 401 || reply.status == 403;
      EXPECT_TRUE(right) << request.method << " " << request.target << " " << reply.status;
      EXPECT_THAT(api.check_value("#/components/schemas/Problem", OpenApi::Json::parse(reply.body, nullptr, false)),
                  testing::IsEmpty());
      return;
    }
    std::set<std::string> names;
    for (const auto& [name, value] : reply.fields) names.insert(name);
    for (const auto& complaint : api.check(*operation, reply.status, reply.field("content-type"), reply.body, names)) {
      ADD_FAILURE() << complaint << "\n" << reply.body.substr(0, 2000);
    }
  }
  Reply get(const std::string& target, std::string_view token = TestDaemon::kToken) {
    return ask({.method = "GET", .target = target, .fields = {{"Authorization", bearer(token)}}});
  }
  Reply post(const std::string& target, const Json& body, const std::string& key = {}) {
    return ask({.method = "POST",
                .target = target,
                .fields = {{"Authorization", bearer(TestDaemon::kToken)},
                           {"Content-Type", "application/json"},
                           {"Idempotency-Key", key}},
                .body = body.dump(),
                .has_body = true});
  }

  const OpenApi::Json& node(const OpenApi::Operation& operation) const { return api.document().at(operation.where); }
  std::string id_of(const OpenApi::Operation& operation) const {
    return node(operation).at("operationId").get<std::string>();
  }
  bool needs_key(const OpenApi::Operation& operation) const {
    const auto all = api.parameters(operation);
    return std::any_of(all.begin(), all.end(), [](const auto& one) { return one.at("name") == "Idempotency-Key"; });
  }
  /// An operation's request with everything it wants, as the program that may all; `id`: for its path's parameter.
  Request request_for(const OpenApi::Operation& operation, const Json& body, const std::string& id = "none") {
    Request out{.method = operation.method, .target = operation.path};
    if (const std::size_t open = out.target.find('{'); open != std::string::npos) {
      out.target.replace(open, out.target.find('}') - open + 1, id);
    }
    out.fields = {{"Authorization", bearer(TestDaemon::kToken)}};
    if (needs_key(operation)) out.fields.push_back({"Idempotency-Key", "key-" + std::to_string(++keys_)});
    if (api.request_schema(operation) != nullptr) {
      out.fields.push_back({"Content-Type", "application/json"});
      out.body = body.dump();
      out.has_body = true;
    }
    return out;
  }
  /// Everything that is refused before it comes to a card; no card is in the reader.
  void refuse_all(const OpenApi::Operation& operation, const Json& body) {
    SCOPED_TRACE(operation.name());
    const Request right = request_for(operation, body);
    const auto with = [&](const std::string& name, const std::string& value) {
      Request wrong = right;
      wrong.set(name, value);
      return ask(wrong).status;
    };
    const auto with_body = [&](const std::string& text) {
      Request wrong = right;
      wrong.body = text;
      return ask(wrong).status;
    };
    EXPECT_EQ(with("Origin", "http://page.example"), 403);
    EXPECT_EQ(with("Host", "rebind.example"), 403);
    if (node(operation).contains("x-verb")) {
      EXPECT_EQ(with("Authorization", ""), 401);
      EXPECT_EQ(with("Authorization", "Bearer nobody's"), 401);
      EXPECT_EQ(with("Authorization", bearer(TestDaemon::kViewer)),
                node(operation).at("x-verb") == "status" ? 200 : 403);
    }
    if (!right.has_body) return;
    EXPECT_EQ(with("Content-Type", "text/plain"), 415);
    for (const char* const text : {"", "{", "[]"}) EXPECT_EQ(with_body(text), 400) << text;
    EXPECT_EQ(with_body("{\"reader\": \"" + std::string(100'000, 'x') + "\"}"), 413);
    if (needs_key(operation)) {
      for (const std::string& key : {std::string(), std::string("two words"), std::string(129, 'k')}) {
        EXPECT_EQ(with("Idempotency-Key", key), 400) << key;
      }
    }
    EXPECT_EQ(ask(right).status, 409) << "no card";
    Json elsewhere = body;
    elsewhere["reader"] = "No Such Reader";
    EXPECT_EQ(with_body(elsewhere.dump()), 503);
  }

  OpenApi api;
  std::string where;

 private:
  unsigned keys_ = 0;
};

}  // namespace karta::test
