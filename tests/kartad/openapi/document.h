// OpenApi: an OpenAPI 3.1 document taken at its word: answers of a running server are held against it, and it remembers
// what it promised that no answer has shown yet.
//
// Stricter than JSON Schema: an object may have the members its schema names and no others (additionalProperties says
// otherwise where that is meant), and a keyword this reader does not know is a fault of the document, for what it asks
// would go unchecked.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace karta::test {

/// Reads YAML 1.2's core schema (what is quoted is text) as JSON. Throws std::runtime_error.
nlohmann::json read_yaml(const std::string& text);

class OpenApi {
 public:
  using Json = nlohmann::json;
  using Complaints = std::vector<std::string>;

  struct Operation {
    std::string method;  ///< "POST"
    std::string path;    ///< "/v1/visits/{id}"
    Json::json_pointer where;
    std::string name() const { return method + " " + path; }
  };

  explicit OpenApi(Json document);

  const std::vector<Operation>& operations() const { return operations_; }
  /// The operation a request is for; null: the document has none. `target` may have a query.
  const Operation* find(std::string_view method, std::string_view target) const;
  /// True if the document has the path, whatever the method.
  bool knows_path(std::string_view target) const;

  /// What is wrong with an answer. Empty: it is as the document says. `fields`: names of its header fields, small.
  Complaints check(const Operation& operation, int status, std::string_view media_type, std::string_view body,
                   const std::set<std::string>& fields = {});
  /// The same for a value and a schema: "#/components/schemas/Problem".
  Complaints check_value(const std::string& schema, const Json& value);

  /// Of the document itself: dangling references, unknown keywords, operations without an identifier, open statuses.
  Complaints faults() const;
  /// Statuses and members that are documented and were in no answer that was checked.
  std::vector<std::string> unseen() const;

  const Json& document() const { return document_; }
  /// `node`, or what it refers to; `where` follows.
  const Json& resolve(const Json& node, Json::json_pointer& where) const;
  /// The parameters of an operation, those of its path too, resolved.
  std::vector<Json> parameters(const Operation& operation) const;
  /// The schema of its JSON body; null: it has none.
  const Json* request_schema(const Operation& operation) const;

 private:
  using Seen = std::set<std::string>;

  struct Outcome {
    Complaints complaints;
    Seen seen;                      ///< members' places in the document
    std::set<std::string> members;  ///< of this very value, that some schema named
    bool open = false;              ///< any other member may be there too
    void take(Outcome&& other);
  };
  Outcome apply(const Json& schema, const Json::json_pointer& where, const Json& value, const std::string& at) const;
  /// apply(), and nothing that no schema named.
  Outcome judge(const Json& schema, const Json::json_pointer& where, const Json& value, const std::string& at) const;
  void collect_faults(const Json& schema, const Json::json_pointer& where, Seen& visited, Complaints& out) const;
  void collect_members(const Json& schema, const Json::json_pointer& where, Seen& visited, Seen& out) const;

  Json document_;
  std::vector<Operation> operations_;
  Seen seen_;
  std::set<std::string> seen_statuses_;
};

}  // namespace karta::test
