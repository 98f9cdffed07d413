// What tests of the server share: a handler made of a function, and a wait for a fact with a deadline.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "service/http_server.h"

namespace karta::service {

class FunctionHandler final : public HttpHandler {
 public:
  using Function = std::function<HttpResponse(const HttpRequest&)>;
  explicit FunctionHandler(Function function) : function_(std::move(function)) {}
  HttpResponse handle(const HttpRequest& request) override { return function_(request); }

 private:
  Function function_;
};

inline Result<HttpServer> start_server(HttpServerOptions options, FunctionHandler::Function function) {
  return HttpServer::start(std::move(options), [&](std::size_t) -> Result<std::unique_ptr<HttpHandler>> {
    return std::make_unique<FunctionHandler>(function);
  });
}

/// True once `fact` holds; false if it does not within twenty seconds.
template <class Fact>
bool becomes_true(Fact fact) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!fact()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace karta::service
