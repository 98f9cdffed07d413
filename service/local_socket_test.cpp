// Local and inherited sockets: who is at the other end, and sockets that systemd opened.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "service/inherited_sockets.h"
#include "service/test_handler.h"
#include "service/test_socket.h"

namespace karta::service {
namespace {

using testing::HasSubstr;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

HttpResponse tell_peer(const HttpRequest& request) {
  std::string text(request.peer);
  if (request.peer_credentials) {
    const PeerCredentials& who = *request.peer_credentials;
    text += " " + std::to_string(who.uid) + " " + std::to_string(who.gid) + " " + std::to_string(who.pid);
  }
  return HttpResponse::text(200, text);
}

Result<HttpServer> serve(std::vector<std::string> listen, unsigned mode = 0) {
  HttpServerOptions options;
  options.listen = std::move(listen);
  options.local_socket_mode = mode;
  return start_server(std::move(options), tell_peer);
}

class LocalSocketTest : public testing::Test {
 protected:
  ~LocalSocketTest() override {
    ::unlink(path_.c_str());
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
    for (const int one : opened_) ::close(one);
  }
  /// A listening socket as systemd would pass it.
  int listening(int domain) {
    const int out = ::socket(domain, SOCK_STREAM, 0);
    if (domain == AF_UNIX) {
      sockaddr_un at{};
      at.sun_family = AF_UNIX;
      std::strncpy(at.sun_path, path_.c_str(), sizeof at.sun_path - 1);
      EXPECT_EQ(::bind(out, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    } else {
      sockaddr_in at{};
      at.sin_family = AF_INET;
      at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      EXPECT_EQ(::bind(out, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    }
    EXPECT_EQ(::listen(out, 16), 0);
    opened_.push_back(out);
    return out;
  }

  std::string path_ = (std::filesystem::temp_directory_path() / ("karta-local-" + std::to_string(::getpid()))).string();
  std::vector<int> opened_;
};

TEST_F(LocalSocketTest, TheKernelTellsWhoConnected) {
  const auto server = serve({"unix:" + path_, "127.0.0.1:0"}, 0666);
  ASSERT_TRUE(server) << server.error().message;
  struct stat about {};
  ASSERT_EQ(::stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0666u);
  TestSocket local("unix:" + path_);
  ASSERT_TRUE(local.send(kGet));
  EXPECT_THAT(local.response(), HasSubstr("unix " + std::to_string(::getuid()) + " " + std::to_string(::getgid()) +
                                          " " + std::to_string(::getpid()) + "\n"));
  TestSocket remote(server->addresses()[1]);
  ASSERT_TRUE(remote.send(kGet));
  EXPECT_THAT(remote.response(), testing::EndsWith("\r\n\r\n127.0.0.1\n"));
}

TEST_F(LocalSocketTest, InheritedSocketsServeOneServerAfterAnother) {
  const int tcp = listening(AF_INET), local = listening(AF_UNIX);
  for (int i = 0; i < 2; ++i) {
    auto server = serve({"fd:" + std::to_string(tcp), "fd:" + std::to_string(local)});
    ASSERT_TRUE(server) << server.error().message;
    ASSERT_EQ(server->addresses().size(), 2u);
    EXPECT_THAT(server->addresses()[0], testing::StartsWith("127.0.0.1:"));
    EXPECT_EQ(server->addresses()[1], "unix:" + path_);
    for (const std::string& where : server->addresses()) {
      TestSocket socket(where);
      ASSERT_TRUE(socket.send(kGet)) << where;
      EXPECT_THAT(socket.response(), HasSubstr(where.starts_with("unix") ? "unix " : "127.0.0.1")) << where;
    }
    server->stop();
  }
  // Nobody serves, and nobody is turned away: the next server answers.
  TestSocket early("unix:" + path_);
  ASSERT_TRUE(early.connected());
  ASSERT_TRUE(early.send(kGet));
  const auto server = serve({"fd:" + std::to_string(local)});
  ASSERT_TRUE(server);
  EXPECT_THAT(early.response(), HasSubstr("unix "));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(LocalSocketTest, SystemdsSocketsAreFoundByName) {
  // Descriptors begin at 3; a test's own may be in use, so the names are put where free ones are.
  const int local = listening(AF_UNIX);
  ASSERT_GE(local, 3);
  std::string names;
  for (int i = 3; i < local; ++i) names += "other:";
  names += "kartad.socket";
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(local - 2).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  const auto found = inherited_sockets("kartad.socket");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, testing::ElementsAre(local));
  EXPECT_NE(::fcntl(local, F_GETFD) & FD_CLOEXEC, 0);
  const auto server = serve({"systemd:kartad.socket"});
  ASSERT_TRUE(server) << server.error().message;
  TestSocket socket("unix:" + path_);
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), HasSubstr("unix "));

  const auto missing = inherited_sockets("else");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().hint, HasSubstr("kartad.socket"));
  // Meant for another process: an environment that was inherited with it.
  ::setenv("LISTEN_PID", "1", 1);
  EXPECT_EQ(inherited_sockets("kartad.socket").error().kind, ErrorKind::configuration);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  for (const char* count : {"", "x", "0", "-1", "3x", "99999999999999999999"}) {
    ::setenv("LISTEN_FDS", count, 1);
    EXPECT_FALSE(inherited_sockets("kartad.socket")) << count;
  }
}

TEST_F(LocalSocketTest, OtherDescriptorsAreRefused) {
  int pipe[2] = {};
  ASSERT_EQ(::pipe(pipe), 0);
  const int not_listening = ::socket(AF_INET, SOCK_STREAM, 0);
  opened_.insert(opened_.end(), {pipe[0], pipe[1], not_listening});
  for (const std::string& number : {std::to_string(pipe[0]), std::to_string(not_listening), std::string("99999"),
                                    std::string("x"), std::string(), std::string("-1")}) {
    const auto server = serve({"fd:" + number});
    ASSERT_FALSE(server) << number;
    EXPECT_EQ(server.error().kind, ErrorKind::configuration) << number;
  }
  EXPECT_EQ(serve({"systemd:none"}).error().kind, ErrorKind::configuration);
}

}  // namespace
}  // namespace karta::service
